-- Rows of dead leases and of none become ours. What may have been sent by
-- somebody else is in doubt. $1 owner, $2 now, $3 most rows, $4 where the pass
-- over the table goes on: after that id. What only a later program can read is
-- left alone. The first row tells, even if none was taken, how many were seen
-- and the last of them: fewer taken than seen means that others have them locked.
WITH seen AS MATERIALIZED (
    SELECT t.id
    FROM task t
    WHERE t.id > $4::bigint AND :orphan AND :readable
        AND EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
    ORDER BY t.id
    LIMIT $3::integer
), pick AS MATERIALIZED (
    SELECT t.id, t.owner > 0 AS orphan -- of a worker that is gone
    FROM seen JOIN task t ON t.id = seen.id
    WHERE :orphan
    FOR UPDATE OF t SKIP LOCKED
), t AS (
    UPDATE task u SET
        owner = $1::bigint, fence = u.fence + 1, version = u.version + 1,
        doubt = u.doubt OR u.state = :SUBMITTING,
        takeovers = CASE
            WHEN u.takeovers_since_ms < $2::bigint - 3600000 THEN 1
            ELSE u.takeovers + 1 END,
        takeovers_since_ms = CASE
            WHEN u.takeovers_since_ms < $2::bigint - 3600000 THEN $2::bigint
            ELSE u.takeovers_since_ms END
    FROM pick
    WHERE u.id = pick.id
    RETURNING u.*, pick.orphan
), kept AS (
    -- What is told by another owner: the fence of what is stored goes with it.
    UPDATE closed c SET fence = t.fence
    FROM t
    WHERE c.id = t.id AND :bare
)
SELECT
    (SELECT count(*) FROM seen) AS seen,
    (SELECT coalesce(max(id), 0) FROM seen) AS last,
    :t.whole_columns,
    r.request_id, r.tenant, r.traceparent, r.tracestate,
    EXISTS (SELECT FROM cancel o WHERE o.task = t.id) AS cancel, t.orphan
FROM (SELECT) AS one LEFT JOIN (t JOIN request r ON r.id = t.id) ON true;
