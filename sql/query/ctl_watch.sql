-- pixverse-ctl watch: the fleet on one screen.
SELECT json_strip_nulls(json_build_object(
           'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
           'states', (SELECT json_object_agg(state, n) FROM
                         (SELECT state, sum(rows) AS n FROM
                             (SELECT state, count(*) AS rows FROM task
                               GROUP BY state
                              UNION ALL
                              SELECT :QUEUED, count(*) FROM
                                  (SELECT FROM waiting LIMIT 1000000) w
                              HAVING count(*) > 0) n
                           GROUP BY state) s),
           'workers', (SELECT count(*) FROM lease WHERE NOT dead),
           'holds', (SELECT json_agg(json_build_object(
                         'reason', reason, 'scope', scope, 'since_ms', since_ms,
                         'next_try_ms', next_try_ms, 'message', message)
                         ORDER BY since_ms) FROM standing_hold),
           'ends', (SELECT json_agg(e.row ORDER BY e.closed_ms DESC) FROM
                       (SELECT t.closed_ms, json_strip_nulls(json_build_object(
                                   'request_id', r.request_id,
                                   'tenant', r.tenant, 'kind', t.kind,
                                   'mode', r.mode, 'cost', CASE WHEN t.has_cost
                                                THEN t.cost END,
                                   'late', nullif(t.late, false),
                                   'received_ms', t.received_ms,
                                   'closed_ms', t.closed_ms)) AS row
                          FROM closed t JOIN request r USING (id)
                         ORDER BY t.closed_ms DESC LIMIT 10) e)));
