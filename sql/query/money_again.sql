-- All that is open, or assumed, looked at again: what an operator's order, a late id
-- or a takeover made of its row; and what was written by a worker that had not heard of
-- the budget yet. So many a look, from behind $1, $2 (task, submission) on; what a turn
-- has locked is its own. A row tells where the next look goes on; none: at the
-- beginning. Behind budget_lock.sql.
WITH m AS MATERIALIZED (
    SELECT task, submission FROM money
    WHERE state IN (1, 2, 4) AND (task, submission) > ($1::bigint, $2::integer)
        AND current_setting('pixverse.budget', true) = 'true'
    ORDER BY task, submission
    LIMIT 5000
    FOR UPDATE SKIP LOCKED
), now AS MATERIALIZED (
    SELECT t.id, t.submission, :spending AS state, :money_cost AS cost
    FROM m JOIN task t ON t.id = m.task AND t.submission = m.submission
    WHERE NOT :bare
    UNION ALL
    SELECT t.id, t.submission, :spending AS state, :money_cost AS cost
    FROM m JOIN closed t ON t.id = m.task AND t.submission = m.submission
    UNION ALL
    SELECT w.id, w.submission, 2 * w.doubt::integer, NULL
    FROM m JOIN waiting w ON w.id = m.task AND w.submission = m.submission
), n AS MATERIALIZED (
    SELECT * FROM now
    UNION ALL
    (SELECT DISTINCT ON (t.id, t.submission) t.id, t.submission,
        :spending AS state, :money_cost AS cost
    FROM m JOIN past t ON t.id = m.task AND t.submission = m.submission
    WHERE NOT EXISTS (SELECT FROM now
        WHERE now.id = m.task AND now.submission = m.submission)
    ORDER BY t.id, t.submission, t.fence DESC)
), changed AS (
    UPDATE money m SET state = n.state,
        amount = CASE n.state WHEN 0 THEN 0
            WHEN 3 THEN coalesce(n.cost, m.estimate) ELSE m.estimate END
    FROM n
    WHERE m.task = n.id AND m.submission = n.submission
        AND (m.state, m.amount) IS DISTINCT FROM (n.state, CASE n.state WHEN 0 THEN 0
            WHEN 3 THEN coalesce(n.cost, m.estimate) ELSE m.estimate END)
)
SELECT task, submission FROM m
WHERE (SELECT count(*) FROM m) = 5000
ORDER BY task DESC, submission DESC
LIMIT 1;
