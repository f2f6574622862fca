-- Words of owners that are gone, about what is no longer so; and what they did.
WITH shared AS (
    DELETE FROM shared_reason s
    WHERE NOT EXISTS (SELECT FROM lease l WHERE l.id = s.owner AND NOT l.dead)
), said AS (
    DELETE FROM vitals v
    WHERE NOT EXISTS (SELECT FROM lease l WHERE l.id = v.lease)
)
DELETE FROM reason r
WHERE NOT EXISTS (
    SELECT FROM task t
    WHERE t.id = r.task AND t.fence = r.fence AND t.state = r.state);
