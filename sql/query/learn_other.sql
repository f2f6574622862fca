-- The other id that stands where that of $1's submission $2 belongs, so that one
-- key has bought twice: not $3, nor nothing.
SELECT provider_task_id FROM task
WHERE id = $1::bigint AND submission = $2::integer
    AND provider_task_id NOT IN ('', $3::text)
UNION ALL
SELECT provider_task_id FROM closed
WHERE id = $1::bigint AND submission = $2::integer
    AND provider_task_id NOT IN ('', $3::text)
UNION ALL
SELECT provider_task_id FROM past
WHERE id = $1::bigint AND submission = $2::integer
    AND provider_task_id NOT IN ('', $3::text);
