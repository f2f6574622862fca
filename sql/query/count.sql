-- One worker counts for the fleet; another that does so at this moment is
-- enough. Orders about tasks that are told are done with.
WITH done AS (
    DELETE FROM cancel o WHERE NOT EXISTS (
        SELECT FROM task t WHERE t.id = o.task)
)
UPDATE fleet SET
    queued = (SELECT count(*) FROM waiting),
    in_flight = (SELECT count(*) FROM task WHERE state BETWEEN 1 AND 6),
    counted_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
WHERE one IN (SELECT one FROM fleet FOR UPDATE SKIP LOCKED);
