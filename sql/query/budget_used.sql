-- Not a statement: what ":budget_used" stands for in others: each budget, with what
-- of it is used in the period in which today.day lies (a WITH of the statement): what
-- is reserved, doubtful and spent, the assumed among it. Sums of tenants are those of
-- all their requests, with a budget of their own or not.
(
    SELECT b.tenant, b.period, b.amount, b.warn, b.counted, p.since, p.until,
        coalesce(s.amount, 0) + coalesce(m.spent, 0) AS spent,
        coalesce(s.estimate, 0) + coalesce(m.estimate, 0) AS estimate,
        coalesce(m.reserved, 0) AS reserved, coalesce(m.doubtful, 0) AS doubtful,
        coalesce(m.assumed, 0) AS assumed,
        coalesce(s.amount, 0) + coalesce(m.amount, 0) AS used
    FROM today
    CROSS JOIN budget b
    CROSS JOIN LATERAL (
        SELECT CASE WHEN b.period = 0 THEN today.day
                ELSE date_trunc('month', DATE '1970-01-01' + today.day)::date
                    - DATE '1970-01-01' END AS since,
            CASE WHEN b.period = 0 THEN today.day + 1
                ELSE (date_trunc('month', DATE '1970-01-01' + today.day)
                    + INTERVAL '1 month')::date - DATE '1970-01-01' END AS until
    ) p
    LEFT JOIN spent s ON s.tenant = b.tenant AND s.period = b.period
        AND s.since = p.since
    LEFT JOIN LATERAL (
        SELECT sum(v.amount)::bigint AS amount,
            sum(v.amount) FILTER (WHERE v.state IN (3, 4))::bigint AS spent,
            sum(v.estimate) FILTER (WHERE v.state IN (3, 4))::bigint AS estimate,
            sum(v.amount) FILTER (WHERE v.state = 1)::bigint AS reserved,
            sum(v.amount) FILTER (WHERE v.state = 2)::bigint AS doubtful,
            sum(v.amount) FILTER (WHERE v.state = 4)::bigint AS assumed
        FROM (
            SELECT * FROM money WHERE tenant = b.tenant
                AND day >= p.since AND day < p.until
            UNION ALL
            SELECT * FROM money WHERE b.tenant = '*'
                AND day >= p.since AND day < p.until
        ) v
    ) m ON true
)
