-- Waiting rows past their deadline become ours, queued still, to be settled.
-- $1 owner, $2 now, $3 most rows.
WITH pick AS MATERIALIZED (
    SELECT w.task
    FROM waiting w
    WHERE w.deadline_ms > 0 AND w.deadline_ms <= $2::bigint
        AND EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
    ORDER BY w.deadline_ms
    LIMIT $3::integer
    FOR UPDATE OF w SKIP LOCKED
), gone AS (
    DELETE FROM waiting w USING pick WHERE w.task = pick.task
), t AS (
    UPDATE task u SET
        owner = $1::bigint, fence = u.fence + 1, version = u.version + 1
    FROM pick
    WHERE u.id = pick.task AND u.state = 0
    RETURNING u.*
)
SELECT t.*, r.request_id, r.tenant
FROM t JOIN request r ON r.id = t.id;
