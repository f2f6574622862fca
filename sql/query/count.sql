-- One worker counts for the fleet; another that does so at this moment is
-- enough.
UPDATE fleet SET
    queued = (SELECT count(*) FROM waiting),
    in_flight = (SELECT count(*) FROM task WHERE state BETWEEN 1 AND 6),
    counted_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
WHERE one IN (SELECT one FROM fleet FOR UPDATE SKIP LOCKED);
