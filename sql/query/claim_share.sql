-- As claim.sql, but by tenants: so many of each (core/share.h), of the highest
-- priority first, then the oldest. $1 owner, $2 now, $3 most rows, $4 account,
-- $5 bucket, $6 as there, $7 tenants, $8 how many of each, $9 as $8 there. What a
-- tenant with a cap has is counted by every claim of such, under share_lock.sql: as
-- the live have written it with their claims, and of the dead as it stands in task.
-- While one that is alive doesn't claim by shares yet, nobody knows.
WITH RECURSIVE sure AS MATERIALIZED (
    SELECT coalesce(current_setting('pixverse.caps', true) = 'true', false)
        AND NOT EXISTS (
            SELECT FROM lease l
            WHERE NOT l.dead AND NOT EXISTS (
                SELECT FROM lease_use u
                WHERE u.tenant = '' AND u.lease = l.id AND u.account = '')
        ) AS is
), left_behind AS MATERIALIZED (
    SELECT r.tenant, count(*)::integer AS n
    FROM (SELECT id FROM lease WHERE dead UNION ALL SELECT -1) o,
    LATERAL ( -- each owner's rows: never the others'
        SELECT t.id FROM task t
        WHERE t.owner = o.id AND t.owner <> 0
            AND t.state IN (:SUBMITTING, :RUNNING)
            AND t.last_sent_ms > $2::bigint - 600000
        OFFSET 0
    ) t
    JOIN request r ON r.id = t.id
    GROUP BY r.tenant
), plan AS MATERIALIZED (
    SELECT p.tenant, CASE
        WHEN t.slots IS NULL THEN p.n
        WHEN NOT (SELECT sure.is FROM sure) THEN 0
        ELSE greatest(0, least(p.n, t.slots - (
            SELECT coalesce(sum(u.n), 0)::integer
            FROM lease_use u JOIN lease l ON l.id = u.lease AND NOT l.dead
            WHERE u.tenant = p.tenant
        ) - coalesce((
            SELECT b.n FROM left_behind b WHERE b.tenant = p.tenant), 0)))
        END AS n
    FROM unnest($7::text[], $8::integer[]) AS p (tenant, n)
    LEFT JOIN tenant t ON t.name = p.tenant
    WHERE current_setting('pixverse.shares', true) = 'true'
), used AS (
    INSERT INTO lease_use (lease, account, tenant, n)
    SELECT $1::bigint, split_part($4::text, ':', 1), coalesce(c.tenant, ''),
        count(*)
    FROM claimed c
    GROUP BY c.tenant
    ON CONFLICT (tenant, lease, account)
        DO UPDATE SET n = lease_use.n + excluded.n
), pick AS MATERIALIZED (
    SELECT next.id, next.place
    FROM plan,
    LATERAL (
        SELECT w.id, w.place
        FROM (
            SELECT * FROM (
                SELECT w.priority, w.id, w.ctid AS place
                FROM waiting w
                WHERE w.tenant = plan.tenant AND w.pinned IS NULL AND :claimable
                ORDER BY w.priority DESC, w.id
                LIMIT plan.n
                FOR UPDATE OF w SKIP LOCKED) free
            UNION ALL
            SELECT * FROM (
                SELECT w.priority, w.id, w.ctid AS place
                FROM waiting w
                WHERE w.pinned = split_part($4::text, ':', 1)
                    AND w.tenant = plan.tenant AND :claimable
                ORDER BY w.priority DESC, w.id
                LIMIT plan.n
                FOR UPDATE OF w SKIP LOCKED) own) AS w
        ORDER BY w.priority DESC, w.id
        LIMIT plan.n
    ) AS next
    WHERE plan.n > 0
        AND :no_hold
--if none
        AND NOT EXISTS (SELECT FROM budget)
--end
    LIMIT CASE WHEN $9::boolean THEN least($3::integer, coalesce(
            nullif(current_setting('pixverse.room', true), '')::integer, 0))
            ELSE $3::integer END
:claimed
