-- Each budget, as it stands today: what is used of it, and how much waits for it.
WITH today AS MATERIALIZED (
    SELECT floor(extract(epoch FROM clock_timestamp()) / 86400)::integer AS day
)
SELECT u.tenant, u.period, u.amount, u.warn, u.spent, u.reserved, u.doubtful,
    u.estimate, (SELECT count(*) FROM (
        SELECT FROM waiting w WHERE w.budget = u.tenant
        UNION ALL
        SELECT FROM waiting w WHERE u.tenant = '*' AND w.budget IS NOT NULL
        LIMIT 100000) w) AS waits
FROM :budget_used u
ORDER BY u.tenant, u.period
LIMIT 1000;
