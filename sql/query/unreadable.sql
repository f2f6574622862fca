-- Rows that nobody works on because this program can't read them: they are
-- nobody's, ours, or their worker is gone. A live worker that has one may be a later
-- program. A part of the table at a time. $1 owner, $2 most rows to name, $3 the
-- last row of the part before, $4 rows of a part. The first column counts those
-- of the part, the second names its last row, 0 where none is behind it.
WITH part AS MATERIALIZED (
    SELECT max(id) AS last, count(*) AS rows FROM (
        SELECT id FROM task WHERE id > $3::bigint ORDER BY id LIMIT $4::bigint
    ) p
), u AS MATERIALIZED (
    SELECT t.id
    FROM task t
    WHERE t.id > $3::bigint AND t.id <= (SELECT last FROM part)
        AND coalesce(t.owner, 0) NOT IN (
            SELECT id FROM lease WHERE NOT dead AND id <> $1::bigint)
        AND :readable IS NOT TRUE
)
SELECT (SELECT count(*) FROM u) AS rows,
    CASE WHEN part.rows = $4::bigint THEN part.last ELSE 0 END AS last,
    u.id, coalesce(r.request_id, '')
FROM part LEFT JOIN u ON true LEFT JOIN request r ON r.id = u.id
ORDER BY u.id
LIMIT $2::integer;
