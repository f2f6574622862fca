-- Another submission of a request that has ended: the queue has it again, under
-- a key of its own; how the last one ended is kept. A deadline runs from now, and
-- what it extends is looked for anew, as that stands by then (unblock.sql).
-- $1 task, $2 the submission that ended.
WITH gone AS (
    DELETE FROM closed c
    WHERE c.id = $1::bigint AND c.submission = $2::integer
        AND NOT EXISTS (SELECT FROM task t WHERE t.id = c.id)
        AND EXISTS (
            SELECT FROM request r WHERE r.id = c.id AND r.body IS NOT NULL)
    RETURNING c.*
), kept AS (
    INSERT INTO past (
        :closed_columns, closed_ms)
    SELECT
        :closed_columns, closed_ms
    FROM gone
), freed AS (
    DELETE FROM cancel o USING gone WHERE o.task = gone.id
)
INSERT INTO waiting (
        priority, source, pinned, tenant, :waiting_columns)
SELECT
    r.priority, r.source, r.account,
    CASE WHEN (SELECT sharing.on FROM sharing) THEN coalesce(r.tenant, '') END,
    gone.id, gone.fence + 1, gone.version + 1, gone.submission + 1, 0,
    false, '', gone.received_ms,
    coalesce((extract(epoch FROM clock_timestamp()) * 1000)::bigint
        + r.deadline_seconds * 1000, 0),
    0, 0, CASE WHEN r.source IS NULL THEN 0
        ELSE (extract(epoch FROM clock_timestamp()) * 1000)::bigint END,
    0, 0, NULL
FROM gone JOIN request r ON r.id = gone.id
RETURNING id;
