-- Another submission of a request that has ended: the queue has it again, under
-- a key of its own; how the last one ended is kept. A deadline runs from now.
-- $1 task, $2 the submission that ended.
WITH gone AS (
    DELETE FROM closed c
    WHERE c.id = $1::bigint AND c.submission = $2::integer
        AND NOT EXISTS (SELECT FROM task t WHERE t.id = c.id)
    RETURNING c.*
), kept AS (
    INSERT INTO past (
        :closed_columns, closed_ms)
    SELECT
        :closed_columns, closed_ms
    FROM gone
), freed AS (
    DELETE FROM cancel o USING gone WHERE o.task = gone.id
), t AS (
    INSERT INTO task (
        :closed_columns)
    SELECT
        gone.id, :QUEUED, 0, gone.fence + 1, gone.version + 1,
        gone.submission + 1,
        0, false, false, false, '', '', gone.received_ms,
        coalesce((extract(epoch FROM clock_timestamp()) * 1000)::bigint
            + r.deadline_seconds * 1000, 0),
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, false, 0, 0, NULL, NULL
    FROM gone JOIN request r ON r.id = gone.id
    WHERE r.body IS NOT NULL
    RETURNING id, deadline_ms
)
INSERT INTO waiting (task, priority, not_before_ms, deadline_ms)
SELECT t.id, r.priority, 0, t.deadline_ms
FROM t JOIN request r ON r.id = t.id
RETURNING task;
