-- Everything that a worker owns: after its connection was lost. The event of a
-- final end is in closed.
SELECT
    :t.whole_columns,
    r.request_id, r.tenant, r.traceparent, r.tracestate,
    EXISTS (SELECT FROM cancel o WHERE o.task = t.id) AS cancel
FROM task t JOIN request r ON r.id = t.id
WHERE t.owner = $1::bigint AND t.owner <> 0;
