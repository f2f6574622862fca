-- pixverse-ctl workers: those whose lease is alive, as they last said.
SELECT json_strip_nulls(json_build_object(
           'lease', l.id, 'name', l.name, 'accounts', (
               SELECT json_agg(DISTINCT split_part(a.account, ':', 1))
                 FROM unnest(l.accounts) AS a (account)),
           'admin', nullif(l.admin, ''),
           'since_ms', (extract(epoch FROM l.started_at) * 1000)::bigint,
           'tasks', l.tasks, 'tasks_max', l.tasks_max,
           'said_ms', v.at_ms, 'version', v.version, 'draining', v.draining,
           'intake_paused', v.paused, 'span_ms', v.span_ms,
           'states', to_json(v.states), 'slots', to_json(v.slots),
           'counts', to_json(v.counts), 'late_ms', v.late_ms,
           'held', (SELECT json_agg(reason ORDER BY since_ms) FROM hold h
               WHERE (reason = 'operator' AND scope = '*')
                  OR reason = 'storage'
                  OR (reason IN ('auth', 'balance', 'channel')
                      AND scope IN (SELECT account FROM buyer b
                                     WHERE b.lease = l.id)
                      -- It buys on by another one.
                      AND NOT EXISTS (SELECT FROM buyer b
                                       WHERE b.lease = l.id AND NOT b.held))),
           'shared', (SELECT json_agg(word ORDER BY since_ms)
                        FROM shared_reason s WHERE s.owner = l.id),
           'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint))
  FROM lease l LEFT JOIN vitals v ON v.lease = l.id
 WHERE NOT l.dead
 ORDER BY l.id;
