-- An operator lets submissions go on; what else holds them.
WITH gone AS (
    DELETE FROM hold WHERE reason = 'operator' AND scope = '*'
    RETURNING since_ms, message
)
SELECT json_strip_nulls(json_build_object(
           'since_ms', (SELECT since_ms FROM gone),
           'reason', (SELECT message FROM gone),
           'holds', (SELECT json_agg(json_build_object(
                         'reason', reason, 'scope', scope, 'message', message)
                         ORDER BY since_ms)
                       FROM standing_hold
                      WHERE NOT (reason = 'operator' AND scope = '*')),
           'workers', (SELECT count(*) FROM lease WHERE NOT dead),
           'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint));
