-- pixverse-ctl budget list: amounts in units; what the period will come to if it goes
-- on as it did until now, once a fiftieth of it is over.
WITH today AS MATERIALIZED (
    SELECT floor(extract(epoch FROM clock_timestamp()) / 86400)::integer AS day
), n AS MATERIALIZED (
    SELECT u.*, u.until - u.since AS days,
        extract(epoch FROM clock_timestamp()) / 86400 - u.since AS over
      FROM :budget_used u
)
SELECT json_strip_nulls(json_build_object(
           'tenant', tenant,
           'period', CASE WHEN period = 0 THEN 'day' ELSE 'month' END,
           'limit', trim_scale(amount / 1000000.0),
           'spent', trim_scale(spent / 1000000.0),
           'assumed', trim_scale(assumed / 1000000.0),
           'reserved', trim_scale(reserved / 1000000.0),
           'doubtful', trim_scale(doubtful / 1000000.0),
           'forecast', CASE WHEN over * 50 >= days
               THEN trim_scale(round((used * days / over / 1000000)::numeric, 6))
               END,
           'used', trim_scale(used / 1000000.0),
           'used_percent', CASE WHEN amount > 0
               THEN floor(used * 100::numeric / amount) ELSE 100 END,
           'warn_percent', warn,
           'near', used * 100 >= amount::numeric * warn,
           'uncounted', CASE WHEN NOT counted THEN true END,
           'waiting', (SELECT count(*) FROM (
               SELECT FROM waiting w WHERE w.budget = n.tenant
               UNION ALL
               SELECT FROM waiting w WHERE n.tenant = '*' AND w.budget IS NOT NULL
               LIMIT 100000) w),
           'resets_ms', until * 86400000::bigint))
  FROM n
 ORDER BY tenant, period;
