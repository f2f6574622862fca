-- Orders to cancel that came as messages: carried out like an operator's
-- (ctl_cancel.sql) where the request is there, else kept for it if that is asked.
-- Answers in the order of the parameters; `unknown`: it was not asked.
-- $1 ids, $2 tenants, $3 when each message was produced, $4 since when ids are
-- known, as our settings say, $5 whether to keep: behind early_lock.sql only, $6 now.
WITH v AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
        WITH ORDINALITY AS v(request_id, tenant, produced_ms, n)
), s AS MATERIALIZED (
    SELECT v.n, v.request_id, v.tenant, r.id, r.tenant AS whose,
        coalesce(
            (SELECT t.state FROM task t WHERE t.id = r.id),
            (SELECT :QUEUED FROM waiting w WHERE w.id = r.id)) AS state,
        coalesce(
            (SELECT c.kind FROM closed c WHERE c.id = r.id),
            (SELECT t.kind FROM task t WHERE t.id = r.id)) AS kind,
        v.produced_ms < greatest(
            $4::bigint, (SELECT known_from_ms FROM meta)) AS old
    FROM v LEFT JOIN request r ON r.request_id = v.request_id
), a AS MATERIALIZED (
    SELECT s.*, CASE
        WHEN id IS NULL AND old THEN 'too_old'
        WHEN id IS NULL AND $5::boolean THEN 'kept'
        WHEN id IS NULL THEN 'unknown'
        WHEN whose <> tenant THEN 'other_tenant'
        WHEN whose IS NULL THEN 'late'
        WHEN state IN (:QUEUED, :SUBMITTING, :RUNNING, :LATE) THEN 'ordered'
        WHEN kind = :cancelled THEN 'done'
        ELSE 'late' END AS answer
    FROM s
), o AS (
    INSERT INTO cancel (task)
    SELECT DISTINCT id FROM a WHERE answer = 'ordered' ORDER BY id
    ON CONFLICT (task) DO NOTHING
), k AS (
    INSERT INTO early_cancel (request_id, tenant, kept_ms)
    SELECT DISTINCT request_id, tenant, $6::bigint
    FROM a WHERE answer = 'kept'
    ON CONFLICT (request_id, tenant) DO UPDATE SET kept_ms = excluded.kept_ms
)
SELECT answer FROM a ORDER BY n;
