-- Rows whose state changed, where they are still what the turn saw. Locked in
-- one order, so that two batches can't wait for each other. A row that waits
-- again comes back into the queue with it.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        :task_arrays
    ) AS v(:task_columns)
), l AS MATERIALIZED (
    SELECT given.*
    FROM given JOIN task t ON t.id = given.id
    WHERE t.fence = given.fence AND t.version = given.version - 1
        AND (t.provider_task_id = ''
            OR t.provider_task_id = given.provider_task_id)
    ORDER BY t.id
    FOR UPDATE OF t
), saved AS (
    UPDATE task t SET
        owner = CASE WHEN l.state = :QUEUED THEN 0 ELSE l.owner END,
        :task_changes
    FROM l
    WHERE t.id = l.id
    RETURNING t.id, t.state, t.not_before_ms, t.deadline_ms
), queued AS (
    INSERT INTO waiting (task, priority, not_before_ms, deadline_ms)
    SELECT s.id, r.priority, s.not_before_ms, s.deadline_ms
    FROM saved s JOIN request r ON r.id = s.id
    WHERE s.state = :QUEUED
    ON CONFLICT (task) DO NOTHING
)
SELECT id FROM saved;
