-- The unchanging part of tasks, and the key of their present submission.
SELECT r.id, r.request_id, r.tenant,
    r.mode, r.metadata, r.warnings, r.traceparent, r.tracestate,
    r.deadline_seconds, r.received_ms, r.body,
    r.idempotency_key || CASE
        WHEN t.submission > 0 THEN '/' || t.submission ELSE '' END
        AS effective_key
FROM unnest($1::bigint[]) AS v(id)
JOIN request r ON r.id = v.id
LEFT JOIN task t ON t.id = v.id;
