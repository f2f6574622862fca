-- Rows that nobody works on because this program can't read them: they wait, are
-- ours, or their worker is gone. A live worker that has one may be a later
-- program. $1 owner, $2 most rows to name.
WITH u AS MATERIALIZED (
    SELECT t.id
    FROM task t
    WHERE coalesce(t.owner, 0) NOT IN (
            SELECT id FROM lease WHERE NOT dead AND id <> $1::bigint)
        AND :readable IS NOT TRUE
)
SELECT (SELECT count(*) FROM u) AS rows, u.id, coalesce(r.request_id, '')
FROM u LEFT JOIN request r ON r.id = u.id
ORDER BY u.id
LIMIT $2::integer;
