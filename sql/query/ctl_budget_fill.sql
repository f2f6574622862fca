-- What was claimed this month for a tenant whose money was not kept before, or is on
-- its way still. $1 tenant, '*': everybody. Behind ctl_budget_clear.sql.
WITH since AS MATERIALIZED (
    SELECT date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
        - DATE '1970-01-01' AS day
), rows AS MATERIALIZED (
    SELECT t.id, t.submission, t.first_sent_ms, :spending AS state,
        :money_cost AS cost
      FROM task t WHERE NOT :bare AND t.first_sent_ms > 0
    UNION ALL
    -- Sent before the database was set back.
    SELECT w.id, w.submission, w.first_sent_ms, 2 AS state, NULL AS cost
      FROM waiting w WHERE w.doubt AND w.first_sent_ms > 0
    UNION ALL
    SELECT t.id, t.submission, t.first_sent_ms, :spending AS state,
        :money_cost AS cost
      FROM closed t, since
     WHERE t.closed_ms >= since.day * 86400000::bigint AND t.first_sent_ms > 0
    UNION ALL
    (SELECT DISTINCT ON (t.id, t.submission) t.id, t.submission, t.first_sent_ms,
        :spending AS state, :money_cost AS cost
      FROM past t, since
     WHERE t.closed_ms >= since.day * 86400000::bigint AND t.first_sent_ms > 0
       AND NOT EXISTS (SELECT FROM task k
            WHERE k.id = t.id AND k.submission = t.submission)
       AND NOT EXISTS (SELECT FROM closed c
            WHERE c.id = t.id AND c.submission = t.submission)
     ORDER BY t.id, t.submission, t.fence DESC)
), priced AS MATERIALIZED (
    SELECT x.*, (x.first_sent_ms / 86400000)::integer AS day, r.tenant,
        coalesce(r.price, (SELECT max(guess) FROM budget)) AS estimate
      FROM rows x JOIN request r ON r.id = x.id, since
     WHERE x.state > 0 AND r.tenant IS NOT NULL
       AND (r.tenant = $1::text OR $1::text = '*')
       AND (x.state IN (1, 2)
            OR x.first_sent_ms >= since.day * 86400000::bigint)
), open AS (
    INSERT INTO money (task, submission, tenant, day, state, estimate, amount)
    SELECT id, submission, tenant, day, state, estimate, estimate
      FROM priced WHERE state IN (1, 2, 4)
    RETURNING task
), settled AS (
    INSERT INTO spent (tenant, period, since, amount, estimate)
    SELECT w.tenant, p.period, p.since, sum(coalesce(x.cost, x.estimate))::bigint,
        sum(x.estimate)::bigint
      FROM priced x
     CROSS JOIN LATERAL (VALUES (x.tenant), ('*')) w (tenant)
     CROSS JOIN LATERAL (VALUES (0, x.day), (1,
           date_trunc('month', DATE '1970-01-01' + x.day)::date
               - DATE '1970-01-01')) p (period, since)
     WHERE x.state = 3 AND (w.tenant <> '*' OR $1::text = '*')
     GROUP BY w.tenant, p.period, p.since
    RETURNING tenant
), counted AS (
    UPDATE budget SET counted = true WHERE tenant = $1::text OR $1::text = '*'
    RETURNING tenant
)
SELECT json_build_object('open', (SELECT count(*) FROM open),
           'sums', (SELECT count(*) FROM settled));
