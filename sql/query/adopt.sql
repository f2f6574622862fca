-- Rows of dead leases and of none become ours. What may have been sent by
-- somebody else is in doubt. $1 owner, $2 now, $3 most rows, $4 where the pass
-- over the table goes on: after that id. What only a later program can read is
-- left alone. The first row tells, even if none was taken, how many were seen
-- and the last of them: fewer taken than seen means that others have them locked.
-- $5 the fleet has a limit: a row that takes a place under it (core/allot.h) brings
-- it along, from its owner's lease or from nowhere. $6 only what is nobody's: an index
-- of its own has that, and what others work on is not read. $7 up to that id.
WITH seen AS MATERIALIZED (
    SELECT id FROM (
        SELECT t.id
        FROM task t
        WHERE NOT $6::boolean AND t.id > $4::bigint AND t.id <= $7::bigint
            AND :orphan AND :readable
        ORDER BY t.id
        LIMIT $3::integer) every
    WHERE EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
    UNION ALL
    SELECT id FROM (
        SELECT t.id
        FROM task t
        WHERE $6::boolean AND t.id > $4::bigint AND t.owner <= 0 AND :readable
        ORDER BY t.id
        LIMIT $3::integer) nobodys
    WHERE EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
), pick AS MATERIALIZED (
    -- By the id of each: a join may read all there are, where nothing is known of them.
    SELECT l.id, l.owner AS was -- above 0: of a worker that is gone
    FROM seen CROSS JOIN LATERAL (
        SELECT t.id, t.owner FROM task t
        WHERE t.id = seen.id AND :orphan
        FOR UPDATE OF t SKIP LOCKED) l
), t AS (
    UPDATE task u SET
        owner = $1::bigint, fence = u.fence + 1, version = u.version + 1,
        doubt = u.doubt OR u.state = :SUBMITTING,
        takeovers = CASE
            WHEN coalesce(u.takeovers_since_ms, 0) < $2::bigint - 3600000 THEN 1
            ELSE u.takeovers + 1 END,
        takeovers_since_ms = CASE
            WHEN coalesce(u.takeovers_since_ms, 0) < $2::bigint - 3600000 THEN $2::bigint
            ELSE u.takeovers_since_ms END
    FROM pick
    WHERE u.id = pick.id
    RETURNING u.*, pick.was
), kept AS (
    -- What is told by another owner: the fence of what is stored goes with it.
    UPDATE closed c SET fence = t.fence
    FROM t
    WHERE c.id = t.id AND :bare
), used AS (
    -- It occupies what it occupied, from now on here.
    INSERT INTO lease_use (lease, account, tenant, n)
    SELECT $1::bigint, split_part(t.account, ':', 1), coalesce(r.tenant, ''),
        count(*)
    FROM t JOIN request r ON r.id = t.id
    WHERE (SELECT sharing.on FROM sharing)
        AND t.state IN (:SUBMITTING, :RUNNING)
        AND t.last_sent_ms > $2::bigint - 600000
    GROUP BY 2, 3
    ON CONFLICT (tenant, lease, account)
        DO UPDATE SET n = lease_use.n + excluded.n
), brought AS MATERIALIZED (
    SELECT was, count(*)::integer AS n FROM t
    WHERE $5::boolean AND state IN (:SUBMITTING, :RUNNING)
        AND last_sent_ms > $2::bigint - 600000
    GROUP BY was
), moves AS MATERIALIZED (
    -- Our own row last: nobody waits for it who has another's.
    SELECT l.id, m.n
    FROM (
        SELECT was AS id, -n AS n FROM brought
        UNION ALL
        SELECT $1::bigint, sum(n)::integer FROM brought HAVING sum(n) > 0
    ) m JOIN lease l ON l.id = m.id
    ORDER BY l.id = $1::bigint, l.id
    FOR NO KEY UPDATE OF l
), moved AS (
    UPDATE lease l SET places = CASE WHEN moves.n > 0
        THEN coalesce(l.places, 0) + moves.n
        ELSE l.places + greatest(-l.places, moves.n) END
    FROM moves
    WHERE l.id = moves.id
)
SELECT
    (SELECT count(*) FROM seen) AS seen,
    (SELECT coalesce(max(id), 0) FROM seen) AS last,
    :t.whole_columns,
    r.request_id, r.tenant, r.traceparent, r.tracestate,
    EXISTS (SELECT FROM cancel o WHERE o.task = t.id) AS cancel,
    t.was > 0 AS orphan
FROM (SELECT) AS one LEFT JOIN (t JOIN request r ON r.id = t.id) ON true;
