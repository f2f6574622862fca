-- What a worker occupies, by account and tenant: absolute, from its memory, before the
-- claim of the same transaction adds to it. Never less than its rows are. A row
-- without a tenant says that it claims by shares. $1 owner, $2 accounts, $3 tenants,
-- $4 numbers, $5 these are all that it has: else those that are not among them stand.
WITH v AS MATERIALIZED (
    SELECT * FROM unnest($2::text[], $3::text[], $4::integer[])
        AS v(account, tenant, n)
), cleared AS (
    DELETE FROM lease_use u
    WHERE $5::boolean AND u.lease = $1::bigint AND NOT EXISTS (
        SELECT FROM v WHERE v.account = u.account AND v.tenant = u.tenant)
), gone AS (
    DELETE FROM lease_use u USING v
    WHERE u.lease = $1::bigint AND u.account = v.account
        AND u.tenant = v.tenant AND v.n = 0 AND v.tenant <> ''
)
INSERT INTO lease_use (lease, account, tenant, n)
SELECT $1::bigint, account, tenant, n FROM v
WHERE (n > 0 OR tenant = '')
    AND EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
ON CONFLICT (tenant, lease, account) DO UPDATE SET n = excluded.n;
