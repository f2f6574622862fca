-- pixverse-ctl stats: ends by day, what is gone and what was counted out of stat,
-- the rest (today, and days that have changed) as it is now.
-- $1 first day, $2 last (dates), $3 what to sum by: day, tenant, account, mode,
-- kind.
WITH RECURSIVE d AS (
    SELECT least(
        (SELECT min(closed_ms) FROM closed
            WHERE closed_ms >= ($1::date - DATE '1970-01-01') * 86400000::bigint),
        (SELECT min(closed_ms) FROM past
            WHERE closed_ms >= ($1::date - DATE '1970-01-01') * 86400000::bigint))
        / 86400000 AS n
    UNION ALL
    SELECT least(
        (SELECT min(closed_ms) FROM closed
            WHERE closed_ms >= (d.n + 1) * 86400000),
        (SELECT min(closed_ms) FROM past WHERE closed_ms >= (d.n + 1) * 86400000))
        / 86400000
    FROM d WHERE d.n < $2::date - DATE '1970-01-01'
), live AS (
    SELECT d.n FROM d
    LEFT JOIN stat_day s ON s.day = DATE '1970-01-01' + d.n::integer
    WHERE d.n <= $2::date - DATE '1970-01-01' AND coalesce(s.counted_ms, 0) <= 0
), parts AS (
    SELECT s.day, tenant, account, mode, kind, count, cost, credits, latency
    FROM stat s LEFT JOIN stat_day k ON k.day = s.day
    WHERE s.day BETWEEN $1::date AND $2::date
        AND (s.pruned OR k.counted_ms > 0)
    UNION ALL
    SELECT e.day, tenant, account, mode, kind, count(*), sum(cost),
        sum(credits), :latency
    FROM live JOIN ended e ON e.closed_ms >= live.n * 86400000
        AND e.closed_ms < (live.n + 1) * 86400000
    GROUP BY e.day, tenant, account, mode, kind
), keyed AS (
    SELECT
        CASE WHEN 'day' = ANY ($3::text[]) THEN day END AS day,
        CASE WHEN 'tenant' = ANY ($3::text[]) THEN tenant END AS tenant,
        CASE WHEN 'account' = ANY ($3::text[]) THEN account END AS account,
        CASE WHEN 'mode' = ANY ($3::text[]) THEN mode END AS mode,
        CASE WHEN 'kind' = ANY ($3::text[]) THEN kind END AS kind,
        kind = 0 AS completed, count, cost, credits, latency
    FROM parts
)
SELECT json_strip_nulls(json_build_object(
           'day', day, 'tenant', tenant, 'account', account, 'mode', mode,
           'kind', kind, 'count', sum(count),
           'completed', coalesce(sum(count) FILTER (WHERE completed), 0),
           'cost', sum(cost), 'credits_cost', sum(credits),
           'latency', json_build_array(
               sum(latency[1]), sum(latency[2]), sum(latency[3]),
               sum(latency[4]), sum(latency[5]), sum(latency[6]),
               sum(latency[7]), sum(latency[8]), sum(latency[9]),
               sum(latency[10]))))
  FROM keyed
 GROUP BY day, tenant, account, mode, kind
 ORDER BY day, tenant, account, mode, kind;
