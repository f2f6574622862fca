-- The ids that stand where that of $1's submission $2 belongs, whatever came of it; of
-- an attempt which the provider had no room for only if it is $3: no answer to that is
-- awaited any more, and it is no other one's. None: its row was in neither of two
-- tables between which it moved.
SELECT provider_task_id FROM task
WHERE id = $1::bigint AND submission = $2::integer AND provider_task_id <> ''
UNION ALL
SELECT provider_task_id FROM closed
WHERE id = $1::bigint AND submission = $2::integer AND provider_task_id <> ''
UNION ALL
SELECT provider_task_id FROM past
WHERE id = $1::bigint AND submission = $2::integer AND provider_task_id <> ''
    AND (event IS NOT NULL OR provider_task_id = $3::text);
