-- The unchanging part of tasks.
SELECT r.id, r.request_id, r.tenant,
    r.mode, r.metadata, r.warnings, r.traceparent, r.tracestate,
    r.deadline_seconds, r.received_ms, r.body,
    encode(r.content, 'hex') AS content
FROM unnest($1::bigint[]) AS v(id)
JOIN request r ON r.id = v.id;
