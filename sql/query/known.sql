-- Ids that were there already: is the content the same?
SELECT v.place, r.content = v.content, r.idempotency_key
FROM unnest($1::int[], $2::text[], $3::bytea[]) AS v (place, request_id, content)
JOIN request r USING (request_id)
