-- Rows whose told end left payment open, and is final now, leave the working table,
-- unless somebody learnt a provider id in the meantime. Result and event stay as they were stored.
WITH l AS MATERIALIZED (
    SELECT * FROM unnest(
        :told_arrays
    ) AS v(:told_columns)
    ORDER BY id
), gone AS (
    DELETE FROM task t USING l
    WHERE t.id = l.id AND t.fence = l.fence AND t.version = l.version - 1
        AND t.provider_task_id = l.provider_task_id
    RETURNING
            :l.told_columns, t.source_task_id, t.result, t.event
)
INSERT INTO closed (
        :closed_columns)
SELECT
        :closed_columns
FROM gone
RETURNING id;
