-- pixverse-ctl tenant list: those that have a word, a request that waits, or a slot;
-- $1 that one, null: all. In use as the live have written it, and of the dead as it
-- stands in task; what waits for any account is counted up to 10,000 of each.
WITH RECURSIVE heads AS (
    SELECT (SELECT w.tenant FROM waiting w
        WHERE w.tenant IS NOT NULL AND w.source IS NULL AND w.pinned IS NULL
            AND w.budget IS NULL
        ORDER BY w.tenant LIMIT 1) AS name
    UNION ALL
    SELECT (SELECT w.tenant FROM waiting w
        WHERE w.tenant > h.name AND w.source IS NULL AND w.pinned IS NULL
            AND w.budget IS NULL
        ORDER BY w.tenant LIMIT 1)
    FROM heads h WHERE h.name IS NOT NULL
), used AS MATERIALIZED (
    SELECT name, sum(n)::bigint AS n FROM (
        SELECT u.tenant AS name, u.n FROM lease l
            JOIN lease_use u ON u.lease = l.id AND u.tenant <> ''
            WHERE NOT l.dead AND u.n > 0
        UNION ALL
        SELECT coalesce(r.tenant, ''), 1
        FROM (SELECT id FROM lease WHERE dead UNION ALL SELECT -1) o
        JOIN task t ON t.owner = o.id AND t.owner <> 0
        JOIN request r ON r.id = t.id
        WHERE (SELECT sharing.on FROM sharing)
            AND t.state IN (:SUBMITTING, :RUNNING) AND t.last_sent_ms >
                (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 600000
    ) n GROUP BY name
), apart AS MATERIALIZED ( -- of one account only, or put aside for want of a budget
    SELECT name, count(*) AS n FROM (
        SELECT tenant AS name FROM waiting
        WHERE tenant IS NOT NULL AND source IS NULL AND budget IS NULL
            AND pinned IS NOT NULL
        UNION ALL
        SELECT tenant FROM waiting WHERE tenant IS NOT NULL AND budget IS NOT NULL
    ) n GROUP BY name
), named AS (
    SELECT name FROM heads WHERE name IS NOT NULL
    UNION SELECT name FROM apart
    UNION SELECT name FROM used
    UNION SELECT name FROM tenant
)
SELECT json_build_object(
           'tenant', n.name, 'weight', coalesce(t.weight, 1), 'slots', t.slots,
           'used', coalesce(u.n, 0),
           'waiting', (SELECT count(*) FROM (
               SELECT FROM waiting w
               WHERE w.tenant = n.name AND w.source IS NULL AND w.pinned IS NULL
                   AND w.budget IS NULL
               LIMIT 10000) w) + coalesce(a.n, 0),
           'shares', (SELECT sharing.on FROM sharing))
  FROM named n LEFT JOIN tenant t USING (name) LEFT JOIN used u USING (name)
  LEFT JOIN apart a USING (name)
 WHERE $1::text IS NULL OR n.name = $1::text
 ORDER BY n.name COLLATE "C";
