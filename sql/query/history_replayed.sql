-- Which rejected messages were replayed is told as long as history is: a message that
-- is replayed once more later is judged by what is known of its id. $1 before.
DELETE FROM replayed WHERE replayed_ms < $1::bigint;
