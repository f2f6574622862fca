-- The ends of a day that are there. $1 day.
INSERT INTO stat (
    day, tenant, account, mode, kind, pruned, count, cost, credits, latency)
SELECT day, tenant, account, mode, kind, false, count(*), sum(cost),
    sum(credits), :latency
FROM ended
WHERE closed_ms >= $1::bigint * 86400000
    AND closed_ms < ($1::bigint + 1) * 86400000
GROUP BY day, tenant, account, mode, kind;
