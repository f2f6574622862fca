-- The id that stands where that of $1's submission $2 belongs, whatever came of it.
-- Not that of an attempt which the provider had no room for: no answer to it is
-- awaited any more. None: its row was in neither of two tables between which it moved.
SELECT provider_task_id FROM task
WHERE id = $1::bigint AND submission = $2::integer AND provider_task_id <> ''
UNION ALL
SELECT provider_task_id FROM closed
WHERE id = $1::bigint AND submission = $2::integer AND provider_task_id <> ''
UNION ALL
SELECT provider_task_id FROM past
WHERE id = $1::bigint AND submission = $2::integer AND provider_task_id <> ''
    AND event IS NOT NULL;
