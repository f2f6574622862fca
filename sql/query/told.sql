-- What was told of a final end leaves the working table; all of it is in closed.
-- $1 tasks, $2 their fences.
WITH l AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::integer[]) AS v(id, fence)
    ORDER BY id
)
DELETE FROM task t USING l
WHERE t.id = l.id AND t.fence = l.fence AND :bare
RETURNING t.id;
