-- Rows of the working table by id, as they are now.
SELECT t.*, r.request_id, r.tenant
FROM unnest($1::bigint[]) AS v(id)
JOIN task t ON t.id = v.id
JOIN request r ON r.id = t.id;
