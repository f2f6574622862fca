-- The same for a submission that ended so and was followed by another, which an
-- operator ordered: what it bought is known at least. Nobody polls it.
UPDATE past p SET provider_task_id = $3::text
WHERE p.id = $1::bigint AND p.submission = $2::integer
    AND p.provider_task_id = '' AND NOT :attempt_over
RETURNING p.id;
