-- Everything that a worker owns: after its connection was lost.
SELECT
    :t.task_columns,
    r.request_id, r.tenant, r.traceparent, r.tracestate,
    EXISTS (SELECT FROM cancel o WHERE o.task = t.id) AS cancel
FROM task t JOIN request r ON r.id = t.id
WHERE t.owner = $1::bigint AND t.owner <> 0;
