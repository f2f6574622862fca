-- The same for a task that came to any other end, told or not: what it bought is
-- known at least. Nobody polls it.
UPDATE closed c SET provider_task_id = $3::text
WHERE c.id = $1::bigint AND c.submission = $2::integer
    AND c.provider_task_id = '' AND c.kind <> :submit_unknown AND NOT :attempt_over
RETURNING c.id;
