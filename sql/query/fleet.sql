-- What a bump learns besides: the counts, what most wait for that can't be claimed, the
-- clock, whether tenants share,
-- whether somebody has a budget.
SELECT f.queued, f.in_flight,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms,
    current_setting('synchronous_commit') <> 'off' AS synchronous,
    f.blocked, sharing.on AS shares,
    EXISTS (SELECT FROM budget) AS budgets,
    f.blocked_most
FROM fleet f, sharing;
