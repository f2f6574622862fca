-- Ids that were there: with the same content it is a repeat.
SELECT r.request_id, encode(r.content, 'hex') AS content
FROM unnest($1::text[]) AS v(request_id)
JOIN request r ON r.request_id = v.request_id;
