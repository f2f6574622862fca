-- pixverse-ctl list: newest first. $1..$12 as in ctl_found.
SELECT json_strip_nulls(json_build_object(
           'request_id', r.request_id, 'tenant', r.tenant, 'state', f.state,
           'kind', coalesce(t.kind, 0), 'mode', r.mode, 'priority', r.priority,
           'provider_task_id', nullif(t.provider_task_id, ''),
           'account', coalesce(nullif(split_part(coalesce(t.account, w.account),
               ':', 1), ''), w.pinned),
           'doubt', nullif(coalesce(t.doubt, w.doubt), false),
           'late', nullif(t.late, false),
           'error', coalesce(:ctl_error, y.answer),
           'waits_for', w.source,
           'cost', CASE WHEN t.has_cost THEN t.cost END,
           'received_ms', r.received_ms, 'settled_ms', nullif(t.settled_ms, 0),
           'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint))
  FROM (SELECT * FROM :ctl_found found ORDER BY id DESC LIMIT $10::bigint) f
  JOIN request r USING (id)
  LEFT JOIN waiting w USING (id)
  LEFT JOIN LATERAL (
      SELECT t.* FROM (
          SELECT :t.closed_columns FROM task t WHERE t.id = f.id AND NOT :bare
          UNION ALL
          SELECT :t.closed_columns FROM closed t WHERE t.id = f.id) t) t ON true
  LEFT JOIN reason y ON y.task = f.id AND y.state = f.state
      AND y.fence = coalesce(t.fence, w.fence)
 ORDER BY f.id DESC;
