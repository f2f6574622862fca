-- Rows whose state changed, where they are still what the turn saw. Taken in one
-- order, so that two batches can't wait for each other. A row that waits again goes
-- back into the queue; one without its source's id waits for that. What extends
-- another goes to that one's account alone, whatever comes.
WITH l AS MATERIALIZED (
    SELECT * FROM unnest(
        :task_arrays
    ) AS v(:task_columns)
    ORDER BY id
), saved AS (
    UPDATE task t SET
        owner = l.owner,
        :task_changes
    FROM l
    WHERE t.id = l.id AND l.state <> :QUEUED
        AND t.fence = l.fence AND t.version = l.version - 1
        AND (t.provider_task_id = ''
            OR t.provider_task_id = l.provider_task_id)
    RETURNING t.id
), gone AS (
    DELETE FROM task t USING l
    WHERE t.id = l.id AND l.state = :QUEUED
        AND t.fence = l.fence AND t.version = l.version - 1
        AND (t.provider_task_id = ''
            OR t.provider_task_id = l.provider_task_id)
    RETURNING
        :l.waiting_columns
), queued AS (
    INSERT INTO waiting (
        priority, source, pinned, tenant, :waiting_columns)
    SELECT
        coalesce(r.priority, 0),
        CASE WHEN gone.source_task_id IS NULL THEN r.source END,
        CASE WHEN gone.source_task_id IS NULL THEN r.account
            ELSE nullif(split_part(gone.account, ':', 1), '') END,
        CASE WHEN (SELECT sharing.on FROM sharing)
            THEN coalesce(r.tenant, '') END,
        :gone.waiting_columns
    FROM gone LEFT JOIN request r ON r.id = gone.id
)
SELECT id FROM saved UNION ALL SELECT id FROM gone;
