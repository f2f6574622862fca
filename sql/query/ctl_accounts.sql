-- pixverse-ctl account list, top: where each account is, what it may do and does. Its
-- slots are those that its workers were given, occupied as slots.sql counts.
WITH now AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms
), given AS MATERIALIZED (
    SELECT split_part(a.account, ':', 1) AS name, count(DISTINCT l.id) AS workers,
        nullif(max(a.slots), 0) AS slots
      FROM lease l, unnest(l.accounts, l.slots) AS a (account, slots)
     WHERE NOT l.dead GROUP BY 1
), has AS MATERIALIZED (
    SELECT split_part(t.account, ':', 1) AS name, count(*) AS tasks,
        count(*) FILTER (WHERE t.owner <> 0 AND t.state IN (:SUBMITTING, :RUNNING)
            AND t.last_sent_ms > now.ms - 600000) AS occupied
      FROM task t, now WHERE NOT :bare GROUP BY 1
), ended AS MATERIALIZED (
    SELECT split_part(e.account, ':', 1) AS name,
        sum(e.cost) FILTER (WHERE e.closed_ms >= now.ms - 60000) AS last,
        sum(e.cost) AS cost
      FROM now, closed e
     WHERE e.closed_ms >= now.ms - 300000 AND e.has_cost GROUP BY 1
)
SELECT json_strip_nulls(json_build_object(
           'account', u.name, 'url', u.url,
           'limit', CASE WHEN u.slots_learnt > 0 THEN json_build_object(
               'learnt', u.slots_learnt, 'slots', u.slots_of,
               'since', to_char(to_timestamp(u.learnt_ms / 1000.0)
                   AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) END,
           'keys', (SELECT count(*) FROM account a
                     WHERE split_part(a.account, ':', 1) = u.name),
           'workers', coalesce(given.workers, 0),
           'tasks', coalesce(has.tasks, 0),
           'slots', given.slots,
           'occupied', coalesce(has.occupied, 0),
           'cost', coalesce(ended.last, 0),
           'cost_of_five', coalesce(ended.cost, 0) / 5,
           'holds', (SELECT coalesce(json_agg(DISTINCT h.reason), '[]')
                       FROM standing_hold h
                      WHERE h.reason IN ('auth', 'balance', 'channel')
                        AND split_part(h.scope, ':', 1) = u.name)))
  FROM account_url u
  LEFT JOIN given ON given.name = u.name
  LEFT JOIN has ON has.name = u.name
  LEFT JOIN ended ON ended.name = u.name
 ORDER BY u.name COLLATE "C";
