-- Since when ids are known: never set back, and not moved before what it forgot the
-- last time may go. $1 that time, $2 now, $3 when the last move may have been.
UPDATE meta SET known_from_ms = $1::bigint, known_moved_ms = $2::bigint
WHERE known_from_ms < $1::bigint AND known_moved_ms <= $3::bigint
RETURNING known_from_ms;
