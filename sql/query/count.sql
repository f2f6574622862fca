-- One worker counts for the fleet; another that does so at this moment is
-- enough. What waits for a claim, for another request or for a budget, is counted up to a million; beyond that statistics do. The
-- others say themselves what they work on. Orders about tasks that are told are
-- done with, and those that were kept for requests that never came. Returns what was
-- last counted, and when the oldest of what waits for a claim was received (the first
-- of each priority); 0: nothing waits.
WITH done AS (
    DELETE FROM cancel o WHERE NOT EXISTS (
        SELECT FROM task t WHERE t.id = o.task)
        AND NOT EXISTS (SELECT FROM waiting w WHERE w.id = o.task)
), old AS (
    DELETE FROM early_cancel WHERE kept_ms
        <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 86400000
), waits AS MATERIALIZED (
    SELECT count(*) AS n FROM (
        SELECT FROM waiting WHERE source IS NULL AND budget IS NULL
        LIMIT 1000000) w
), blocks AS MATERIALIZED (
    SELECT count(*) AS n FROM (
        SELECT FROM waiting WHERE source IS NOT NULL LIMIT 1000000) w
), broke AS MATERIALIZED (
    SELECT count(*) AS n FROM (
        SELECT FROM waiting WHERE budget IS NOT NULL LIMIT 1000000) w
), counted AS (
    UPDATE fleet SET
        queued = CASE WHEN waits.n < 1000000 THEN waits.n ELSE greatest(
            waits.n, (SELECT reltuples::bigint FROM pg_class
                WHERE oid = 'waiting_order'::regclass)) END,
        blocked = broke.n + CASE WHEN blocks.n < 1000000 THEN blocks.n ELSE greatest(
            blocks.n, (SELECT reltuples::bigint FROM pg_class
                WHERE oid = 'waiting_source'::regclass)) END,
        in_flight = (SELECT coalesce(sum(tasks), 0) FROM lease WHERE NOT dead),
        counted_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM waits, blocks, broke
    WHERE one IN (SELECT one FROM fleet FOR UPDATE SKIP LOCKED)
    RETURNING queued, in_flight, blocked
)
SELECT queued, in_flight, blocked, coalesce((
    SELECT min(first.received_ms) FROM generate_series(0, 9) p (priority),
        LATERAL (SELECT w.received_ms FROM waiting w
            WHERE (w.priority, w.id) > (p.priority, 0)
                AND w.priority <= p.priority AND w.source IS NULL
                AND w.budget IS NULL
            ORDER BY w.priority, w.id LIMIT 1) first), 0)
FROM counted;
