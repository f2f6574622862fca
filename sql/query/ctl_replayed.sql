-- Which rejected messages were replayed. $1 the rejected topic.
SELECT json_build_object('mark',
           partition || ':' || message_offset || ':' || produced_ms)
  FROM replayed WHERE topic = $1::text;
