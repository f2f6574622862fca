-- A small batch of what ended before a time: counted, then gone. Whatever is in
-- flight, waits or is not told yet stays whole, and so does what an operator's order
-- or an id is about at this moment: it has the request locked.
-- $1 before, $2 from (in milliseconds), $3 how many at most, $4 now.
WITH l AS MATERIALIZED (
    SELECT r.id, c.closed_ms
    FROM closed c JOIN request r ON r.id = c.id
    WHERE c.closed_ms >= $2::bigint AND c.closed_ms < $1::bigint
        AND NOT EXISTS (SELECT FROM task t WHERE t.id = c.id)
        AND NOT EXISTS (SELECT FROM waiting w WHERE w.id = c.id)
    ORDER BY c.closed_ms
    LIMIT $3::bigint
    FOR NO KEY UPDATE OF r SKIP LOCKED
), gone AS (
    DELETE FROM closed c USING l WHERE c.id = l.id
    RETURNING c.id
), earlier AS (
    DELETE FROM past p USING gone WHERE p.id = gone.id
), stripped AS (
    UPDATE request r SET
        tenant = NULL, mode = 0, priority = 0, deadline_seconds = NULL,
        metadata = NULL, warnings = '[]', traceparent = NULL,
        tracestate = NULL, body = NULL, source = NULL, pruned_ms = $4::bigint
    FROM gone WHERE r.id = gone.id
), counted AS (
    INSERT INTO stat (
        day, tenant, account, mode, kind, pruned, count, cost, credits, latency)
    SELECT day, tenant, account, mode, kind, true, count(*), sum(cost),
        sum(credits), :latency
    -- By the id of each: a join would read all of past for it.
    FROM gone CROSS JOIN LATERAL (
        SELECT * FROM ended WHERE id = gone.id OFFSET 0) e
    GROUP BY day, tenant, account, mode, kind
    ON CONFLICT (day, tenant, account, mode, kind, pruned) DO UPDATE SET
        count = stat.count + EXCLUDED.count,
        cost = stat.cost + EXCLUDED.cost,
        credits = stat.credits + EXCLUDED.credits,
        latency = ARRAY(SELECT a + b
            FROM unnest(stat.latency, EXCLUDED.latency)
                WITH ORDINALITY AS u(a, b, n) ORDER BY n)
    RETURNING day
), days AS MATERIALIZED (
    SELECT DISTINCT day FROM counted
), again AS (
    INSERT INTO stat_day (day, counted_ms) SELECT day, 0 FROM days
    ON CONFLICT (day) DO UPDATE SET counted_ms = 0
    WHERE stat_day.counted_ms <> 0
), cleared AS (
    DELETE FROM stat s USING days WHERE s.day = days.day AND NOT s.pruned
)
SELECT (SELECT count(*) FROM l) AS seen, (SELECT count(*) FROM gone) AS gone,
    (SELECT max(closed_ms) FROM l) AS last_ms;
