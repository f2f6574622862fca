-- One worker counts for the fleet; another that does so at this moment is
-- enough. What waits for a claim, and what waits for another request, a budget or an
-- account that is held, is counted up to a million each; beyond that statistics do. The
-- others say themselves what they work on. Orders about tasks that are told are
-- done with, and those that were kept for requests that never came. Returns what was
-- last counted, when the oldest of what waits for a claim was received (the first
-- of each priority; 0: nothing waits), and what most of those that can't be claimed
-- wait for, in words.
WITH done AS (
    DELETE FROM cancel o WHERE NOT EXISTS (
        SELECT FROM task t WHERE t.id = o.task)
        AND NOT EXISTS (SELECT FROM waiting w WHERE w.id = o.task)
), old AS (
    DELETE FROM early_cancel WHERE kept_ms
        <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 86400000
), held AS MATERIALIZED (
    SELECT account FROM pinned_held
), waits AS MATERIALIZED (
    SELECT count(*) AS n FROM (
        SELECT FROM waiting
        WHERE source IS NULL AND pinned IS NULL AND budget IS NULL
        LIMIT 1000000) w
), blocks AS MATERIALIZED (
    SELECT count(*) AS n FROM (
        SELECT FROM waiting WHERE source IS NOT NULL LIMIT 1000000) w
), pins AS MATERIALIZED (
    SELECT pinned, count(*) AS n FROM (
        SELECT pinned FROM waiting
        WHERE pinned IS NOT NULL AND source IS NULL AND budget IS NULL
        LIMIT 1000000) w
    GROUP BY pinned
), broke AS MATERIALIZED (
    SELECT budget, count(*) AS n FROM (
        SELECT budget FROM waiting WHERE budget IS NOT NULL LIMIT 1000000) w
    GROUP BY budget
), apart AS MATERIALIZED (
    SELECT 'a budget of tenant ' || budget AS words, n FROM broke
    UNION ALL
    SELECT 'account ' || pinned, n FROM pins
    WHERE pinned IN (SELECT account FROM held)
    UNION ALL
    -- Of many one in so many, that their requests need not all be read.
    SELECT 'what requests of tenant ' || r.tenant || ' extend', count(*) * max(w.step)
    FROM (
        SELECT s.id, b.step
        FROM (SELECT 1 + blocks.n / 10000 AS step FROM blocks) b,
        LATERAL (
            SELECT id FROM waiting
            WHERE source IS NOT NULL AND id % b.step = 0
            LIMIT 20000) s
    ) w JOIN request r ON r.id = w.id
    GROUP BY r.tenant
), counted AS (
    UPDATE fleet SET
        queued = CASE WHEN waits.n < 1000000 THEN waits.n ELSE greatest(
            waits.n, (SELECT reltuples::bigint FROM pg_class
                WHERE oid = 'waiting_order'::regclass)) END
            + (SELECT coalesce(sum(n), 0) FROM pins
                WHERE pinned NOT IN (SELECT account FROM held)),
        blocked = CASE WHEN blocks.n < 1000000 THEN blocks.n ELSE greatest(
            blocks.n, (SELECT reltuples::bigint FROM pg_class
                WHERE oid = 'waiting_source'::regclass)) END
            + (SELECT coalesce(sum(n), 0) FROM broke)
            + (SELECT coalesce(sum(n), 0) FROM pins
                WHERE pinned IN (SELECT account FROM held)),
        blocked_most = coalesce(
            (SELECT words FROM apart ORDER BY n DESC, words LIMIT 1), ''),
        in_flight = (SELECT coalesce(sum(tasks), 0) FROM lease WHERE NOT dead),
        counted_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM waits, blocks
    WHERE one IN (SELECT one FROM fleet FOR UPDATE SKIP LOCKED)
    RETURNING queued, in_flight, blocked, blocked_most
)
SELECT queued, in_flight, blocked, coalesce((
    SELECT min(first.received_ms) FROM generate_series(0, 9) p (priority),
        LATERAL (
            (SELECT w.received_ms FROM waiting w
            WHERE (w.priority, w.id) > (p.priority, 0)
                AND w.priority <= p.priority AND w.source IS NULL
                AND w.pinned IS NULL AND w.budget IS NULL
            ORDER BY w.priority, w.id LIMIT 1)
            UNION ALL
            SELECT own.received_ms FROM pins, LATERAL (
                SELECT w.received_ms FROM waiting w
                WHERE w.pinned = pins.pinned
                    AND (w.priority, w.id) > (p.priority, 0)
                    AND w.priority <= p.priority AND w.source IS NULL
                    AND w.budget IS NULL
                ORDER BY w.priority, w.id LIMIT 1) own
            WHERE pins.pinned NOT IN (SELECT account FROM held)) first), 0),
    blocked_most
FROM counted;
