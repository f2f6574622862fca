-- The same for a submission that ended so and was followed by another, which an
-- operator ordered: what it bought is known at least. Nobody polls it.
UPDATE past p SET provider_task_id = $3::text
FROM request r
WHERE p.id = $1::bigint AND r.id = p.id AND p.provider_task_id = ''
    AND r.idempotency_key || CASE
        WHEN p.submission > 0 THEN '/' || p.submission ELSE '' END = $2::text
RETURNING p.id;
