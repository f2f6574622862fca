-- Rows whose told end left payment open, and is final now, leave the working table,
-- unless somebody learnt a provider id in the meantime. Result and event stay as they were stored.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        :told_arrays
    ) AS v(:told_columns)
), l AS MATERIALIZED (
    SELECT given.*
    FROM given JOIN task t ON t.id = given.id
    WHERE t.fence = given.fence AND t.version = given.version - 1
        AND t.provider_task_id = given.provider_task_id
    ORDER BY t.id
    FOR UPDATE OF t
), gone AS (
    DELETE FROM task t USING l
    WHERE t.id = l.id
    RETURNING
            :l.told_columns, t.source_task_id, t.result, t.event
)
INSERT INTO closed (
        :closed_columns)
SELECT
        :closed_columns
FROM gone
RETURNING id;
