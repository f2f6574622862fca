-- Ordered to be cancelled, unless it has come too far meanwhile. $1 task.
INSERT INTO cancel (task)
SELECT id FROM task WHERE id = $1::bigint AND state IN (
    :QUEUED, :SUBMITTING, :RUNNING, :LATE)
UNION
SELECT id FROM waiting WHERE id = $1::bigint
ON CONFLICT (task) DO UPDATE SET ordered_ms = cancel.ordered_ms
RETURNING task;
