-- Everything that a worker owns: after its connection was lost.
SELECT t.*, r.request_id, r.tenant
FROM task t JOIN request r ON r.id = t.id
WHERE t.owner = $1::bigint;
