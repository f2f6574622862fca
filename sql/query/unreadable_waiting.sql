-- Rows of the queue that this program can't read: a claim would put them aside as
-- they are, but none may come for long. A part of it at a time. $1 most rows to
-- name, $2 the last row of the part before, $3 rows of a part. The first column
-- counts those of the part, the second names its last row, 0 where none is behind
-- it.
WITH part AS MATERIALIZED (
    SELECT max(id) AS last, count(*) AS rows FROM (
        SELECT id FROM waiting WHERE id > $2::bigint ORDER BY id LIMIT $3::bigint
    ) p
), u AS MATERIALIZED (
    SELECT t.id
    FROM (
        SELECT
            :w.queued_columns
        FROM waiting w
        WHERE w.id > $2::bigint AND w.id <= (SELECT last FROM part)) t
    WHERE :readable IS NOT TRUE
)
SELECT (SELECT count(*) FROM u) AS rows,
    CASE WHEN part.rows = $3::bigint THEN part.last ELSE 0 END AS last,
    u.id, coalesce(r.request_id, '')
FROM part LEFT JOIN u ON true LEFT JOIN request r ON r.id = u.id
ORDER BY u.id
LIMIT $1::integer;
