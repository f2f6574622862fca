-- pixverse-ctl top: the fleet at this moment. Ends and what they cost: of the last
-- five minutes, and of them the last one.
WITH now AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms
), ends AS MATERIALIZED (
    SELECT e.kind, e.has_cost, e.cost,
        e.closed_ms >= (SELECT ms FROM now) - 60000 AS last
      FROM closed e
     WHERE e.closed_ms >= (SELECT ms FROM now) - 300000
)
SELECT json_strip_nulls(json_build_object(
           'now_ms', now.ms,
           'states', (SELECT json_object_agg(state, n) FROM
                         (SELECT state, sum(rows) AS n FROM
                             (SELECT state, count(*) AS rows FROM task
                               GROUP BY state
                              UNION ALL
                              SELECT :QUEUED, count(*) FROM
                                  (SELECT FROM waiting LIMIT 1000000) w
                              HAVING count(*) > 0) n
                           GROUP BY state) s),
           'ends', (SELECT json_build_object(
                       'completed', count(*) FILTER (WHERE kind = 0),
                       'failed', count(*) FILTER (WHERE kind <> 0),
                       'cost', coalesce(sum(cost) FILTER (WHERE has_cost), 0),
                       'completed_last',
                           count(*) FILTER (WHERE kind = 0 AND last),
                       'failed_last',
                           count(*) FILTER (WHERE kind <> 0 AND last),
                       'cost_last', coalesce(
                           sum(cost) FILTER (WHERE has_cost AND last), 0))
                     FROM ends),
           'oldest_queued_ms', (SELECT w.received_ms FROM waiting w
                                 ORDER BY w.id LIMIT 1),
           'expires_ms', (SELECT min(nullif((v ->> 'expires_at')::bigint, 0))
                            FROM task t, json_array_elements(
                                nullif(t.result, '')::json) v
                           WHERE t.state = :READY AND t.result IS NOT NULL),
           'deadline_ms', (SELECT min(nullif(t.deadline_ms, 0)) FROM task t
                            WHERE t.state IN (:SUBMITTING, :RUNNING)),
           'untold', (SELECT count(*) FROM task t
                       WHERE t.state IN (:SUCCEEDED, :FAILED)),
           'doubts', (SELECT count(*) FROM task t
                       WHERE t.state = :SUBMITTING AND t.doubt),
           'holds', (SELECT json_agg(json_build_object(
                         'reason', reason, 'scope', scope,
                         'since_ms', since_ms, 'message', message)
                         ORDER BY since_ms) FROM standing_hold)))
  FROM now;
