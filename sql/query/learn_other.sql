-- The other id that stands where that of $1's send under key $2 belongs, so that
-- one key has bought twice: not $3, nor nothing.
SELECT t.provider_task_id FROM task t JOIN request r ON r.id = t.id
WHERE t.id = $1::bigint AND t.provider_task_id NOT IN ('', $3::text)
    AND r.idempotency_key || CASE
        WHEN t.submission > 0 THEN '/' || t.submission ELSE '' END = $2::text
UNION ALL
SELECT c.provider_task_id FROM closed c JOIN request r ON r.id = c.id
WHERE c.id = $1::bigint AND c.provider_task_id NOT IN ('', $3::text)
    AND r.idempotency_key || CASE
        WHEN c.submission > 0 THEN '/' || c.submission ELSE '' END = $2::text
UNION ALL
SELECT p.provider_task_id FROM past p JOIN request r ON r.id = p.id
WHERE p.id = $1::bigint AND p.provider_task_id NOT IN ('', $3::text)
    AND r.idempotency_key || CASE
        WHEN p.submission > 0 THEN '/' || p.submission ELSE '' END = $2::text;
