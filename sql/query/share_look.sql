-- Who waits, who occupies: one row a tenant of whom a request may be claimed, or that
-- occupies a slot of another worker. A claim looks again. $1 owner, $2 now, $3 the
-- accounts whose pinned rows may be claimed.
-- What its own worker occupies that one knows itself. Each tenant is
-- found by one step through the index, not by reading what waits.
WITH RECURSIVE heads AS (
    SELECT (SELECT w.tenant FROM waiting w
        WHERE w.tenant IS NOT NULL AND w.source IS NULL AND w.pinned IS NULL
            AND w.budget IS NULL
        ORDER BY w.tenant LIMIT 1) AS tenant
    UNION ALL
    SELECT (SELECT w.tenant FROM waiting w
        WHERE w.tenant > h.tenant AND w.source IS NULL AND w.pinned IS NULL
            AND w.budget IS NULL
        ORDER BY w.tenant LIMIT 1)
    FROM heads h WHERE h.tenant IS NOT NULL
), pinned_heads AS (
    SELECT a.name, (SELECT w.tenant FROM waiting w
        WHERE w.pinned = a.name AND w.tenant IS NOT NULL AND w.source IS NULL
            AND w.budget IS NULL
        ORDER BY w.tenant LIMIT 1) AS tenant
    FROM unnest($3::text[]) AS a (name)
    UNION ALL
    SELECT h.name, (SELECT w.tenant FROM waiting w
        WHERE w.pinned = h.name AND w.tenant > h.tenant AND w.source IS NULL
            AND w.budget IS NULL
        ORDER BY w.tenant LIMIT 1)
    FROM pinned_heads h WHERE h.tenant IS NOT NULL
), waits AS MATERIALIZED (
    SELECT h.tenant FROM heads h
    -- Not EXISTS: that would be a join, which reads all that waits.
    WHERE h.tenant IS NOT NULL AND coalesce((
        SELECT true FROM waiting w
        WHERE w.tenant = h.tenant AND w.source IS NULL AND w.pinned IS NULL
            AND w.budget IS NULL
            AND w.not_before_ms <= $2::bigint
        ORDER BY w.priority DESC, w.id LIMIT 1), false)
    UNION
    SELECT h.tenant FROM pinned_heads h
    WHERE h.tenant IS NOT NULL AND coalesce((
        SELECT true FROM waiting w
        WHERE w.pinned = h.name AND w.tenant = h.tenant AND w.source IS NULL
            AND w.budget IS NULL
            AND w.not_before_ms <= $2::bigint
        ORDER BY w.priority DESC, w.id LIMIT 1), false)
), held AS MATERIALIZED (
    SELECT u.tenant, sum(u.n)::integer AS n
    FROM lease l JOIN lease_use u ON u.lease = l.id
    WHERE NOT l.dead AND l.id <> $1::bigint AND u.n > 0
    GROUP BY u.tenant
)
SELECT coalesce(w.tenant, h.tenant) AS tenant, w.tenant IS NOT NULL AS waits,
    coalesce(h.n, 0) AS held, coalesce(t.weight, 1) AS weight,
    coalesce(t.slots, 0) AS slots
FROM waits w FULL JOIN held h ON h.tenant = w.tenant
LEFT JOIN tenant t ON t.name = coalesce(w.tenant, h.tenant)
ORDER BY tenant;
