-- Ids that were there: the same content is a repeat.
SELECT r.id, r.request_id, r.content = v.content AS same
FROM unnest($1::text[], $2::bytea[]) AS v(request_id, content)
JOIN request r ON r.request_id = v.request_id;
