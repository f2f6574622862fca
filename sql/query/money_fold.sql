-- What is settled for good becomes part of the sums of its day and month; what is
-- assumed stays by itself for as long as its month lasts, since a late id may correct
-- it. So many a look, and none that a turn has locked. Sums of months that are over go after a year. Behind budget_lock.sql.
WITH today AS MATERIALIZED (
    SELECT floor(extract(epoch FROM clock_timestamp()) / 86400)::integer AS day
), gone AS (
    DELETE FROM money WHERE (task, submission) IN (
        SELECT task, submission FROM money
        WHERE current_setting('pixverse.budget', true) = 'true'
            AND (state IN (0, 3)
                OR (state = 4 AND day < (SELECT day FROM today) - 62))
        LIMIT 5000
        FOR UPDATE SKIP LOCKED)
    RETURNING tenant, day, estimate, amount, state
), sums AS (
    SELECT w.tenant, p.period, p.since, sum(g.amount)::bigint AS amount,
        sum(g.estimate)::bigint AS estimate
    FROM gone g
    CROSS JOIN LATERAL (VALUES (g.tenant), ('*')) w (tenant)
    CROSS JOIN LATERAL (VALUES (0, g.day), (1,
        date_trunc('month', DATE '1970-01-01' + g.day)::date - DATE '1970-01-01'
        )) p (period, since)
    WHERE g.state <> 0
    GROUP BY w.tenant, p.period, p.since
), old AS (
    DELETE FROM spent WHERE since < (SELECT day FROM today) - 400 AND NOT EXISTS (
        SELECT FROM sums s WHERE s.tenant = spent.tenant
            AND s.period = spent.period AND s.since = spent.since)
)
INSERT INTO spent (tenant, period, since, amount, estimate)
SELECT tenant, period, since, amount, estimate FROM sums
ON CONFLICT (tenant, period, since) DO UPDATE
    SET amount = spent.amount + excluded.amount,
        estimate = spent.estimate + excluded.estimate;
