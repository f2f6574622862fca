-- What was told of a final end leaves the working table; all of it is in closed.
-- $1 tasks, $2 their fences.
WITH l AS MATERIALIZED (
    SELECT t.id
    FROM unnest($1::bigint[], $2::integer[]) AS v(id, fence)
    JOIN task t ON t.id = v.id
    WHERE t.fence = v.fence AND :bare
    ORDER BY t.id
    FOR UPDATE OF t
)
DELETE FROM task t USING l
WHERE t.id = l.id
RETURNING t.id;
