-- What came, or went back, into the queue before tenants were told apart: a part of it.
WITH part AS MATERIALIZED (
    SELECT id FROM waiting
    WHERE tenant IS NULL AND (SELECT sharing.on FROM sharing)
    LIMIT 20000
    FOR UPDATE SKIP LOCKED
)
UPDATE waiting w SET tenant = coalesce(r.tenant, '')
FROM part JOIN request r ON r.id = part.id
WHERE w.id = part.id;
