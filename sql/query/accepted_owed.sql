-- What is to be told of requests that were taken in, the oldest first; without a
-- tenant: its history is pruned, and nothing can be told.
-- $1 owner, $2 whether that of owners who are gone too, $3 at most.
SELECT a.id, r.request_id, r.tenant,
    coalesce(r.mode, 0) AS mode, r.metadata, r.warnings, r.traceparent,
    r.tracestate, r.deadline_seconds, coalesce(r.received_ms, 0) AS received_ms,
    NULL::text AS body, '' AS content
FROM accepted a LEFT JOIN request r ON r.id = a.id
WHERE a.owner = $1::bigint OR ($2::boolean AND NOT EXISTS (
    SELECT FROM lease l WHERE l.id = a.owner AND NOT l.dead))
ORDER BY a.id
LIMIT $3::integer;
