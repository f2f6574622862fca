-- Rows of the working table by id, as they are now.
SELECT
    :t.whole_columns,
    r.request_id, r.tenant, r.traceparent, r.tracestate,
    EXISTS (SELECT FROM cancel o WHERE o.task = t.id) AS cancel
FROM unnest($1::bigint[]) AS v(id)
JOIN task t ON t.id = v.id
JOIN request r ON r.id = t.id;
