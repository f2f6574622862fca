-- A rejected message is about to be replayed: a row, if nobody did that before.
-- $1 topic, $2 partition, $3 offset, $4 when it was produced there (ms), $5 once
-- more.
INSERT INTO replayed (topic, partition, message_offset, produced_ms)
VALUES ($1::text, $2::integer, $3::bigint, $4::bigint)
ON CONFLICT (topic, partition, message_offset, produced_ms) DO UPDATE
    SET replayed_ms = excluded.replayed_ms WHERE $5::boolean
RETURNING partition;
