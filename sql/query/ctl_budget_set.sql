-- A budget. $1 tenant, $2 period, $3 amount, $4 percent that call for a warning,
-- $5 what counts for a request without an estimate. Says whether the tenant's money was
-- kept before; where it was not, nothing fits until ctl_budget_fill.sql has counted it.
WITH was AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM budget
        WHERE (tenant = $1::text OR tenant = '*') AND counted) AS kept
)
INSERT INTO budget (tenant, period, amount, warn, guess, counted)
SELECT $1::text, $2::smallint, $3::bigint, $4::integer, $5::bigint, was.kept FROM was
ON CONFLICT (tenant, period) DO UPDATE SET amount = excluded.amount,
    warn = excluded.warn, guess = excluded.guess
RETURNING json_build_object('kept', (SELECT was.kept FROM was));
