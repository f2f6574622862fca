-- Waiting rows past their deadline, and cancelled ones, become ours, queued
-- still, to be settled.
-- $1 owner, $2 now, $3 most rows.
WITH late AS MATERIALIZED (
    SELECT w.task
    FROM waiting w
    WHERE w.deadline_ms > 0 AND w.deadline_ms <= $2::bigint
        AND (SELECT :readable FROM task t WHERE t.id = w.task)
        AND EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
    ORDER BY w.deadline_ms
    LIMIT $3::integer
    FOR UPDATE OF w SKIP LOCKED
), ordered AS MATERIALIZED (
    SELECT w.task
    FROM cancel o JOIN waiting w ON w.task = o.task
    WHERE (SELECT :readable FROM task t WHERE t.id = w.task)
        AND EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
    LIMIT $3::integer
    FOR UPDATE OF w SKIP LOCKED
), pick AS MATERIALIZED (
    SELECT task FROM late UNION SELECT task FROM ordered
    LIMIT $3::integer
), gone AS (
    DELETE FROM waiting w USING pick WHERE w.task = pick.task
), t AS (
    UPDATE task u SET
        owner = $1::bigint, fence = u.fence + 1, version = u.version + 1
    FROM pick
    WHERE u.id = pick.task AND u.state = :QUEUED
    RETURNING u.*
)
SELECT
    :t.task_columns,
    r.request_id, r.tenant, r.traceparent, r.tracestate,
    EXISTS (SELECT FROM cancel o WHERE o.task = t.id) AS cancel
FROM t JOIN request r ON r.id = t.id;
