-- A provider id that somebody learnt, without fence.
UPDATE task t SET provider_task_id = $3::text
FROM request r
WHERE t.id = $1::bigint AND r.id = t.id AND t.provider_task_id = ''
  AND CASE WHEN t.submission = 0 THEN r.idempotency_key
           ELSE r.idempotency_key || '/' || t.submission END = $2::text
RETURNING t.id
