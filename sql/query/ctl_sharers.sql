-- pixverse-ctl top: tenants that share, with what they occupy, as the live have
-- written it: twenty, who has the most first, and how many there are.
SELECT json_build_object('tenant', name, 'occupied', n, 'weight', weight,
           'slots', slots, 'of', count(*) OVER ())
FROM (
    SELECT coalesce(t.name, u.name) AS name, coalesce(u.n, 0) AS n,
        coalesce(t.weight, 1) AS weight, t.slots
    FROM tenant t FULL JOIN (
        SELECT u.tenant AS name, sum(u.n)::bigint AS n
        FROM lease l JOIN lease_use u ON u.lease = l.id AND u.tenant <> ''
        WHERE NOT l.dead AND u.n > 0
        GROUP BY u.tenant) u ON u.name = t.name
) s
ORDER BY n DESC, name COLLATE "C"
LIMIT 20;
