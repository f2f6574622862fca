-- pixverse-ctl doctor: what lies still in the fleet: a finding a row, how many, a few
-- of them, since when. $1 what ended before it is to be pruned (ms; 0: nothing).
WITH now AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms
), found (finding, id, since_ms, detail) AS (
    SELECT 'doubt', t.id, t.last_sent_ms, NULL::text FROM task t, now
     WHERE t.state = :SUBMITTING AND t.doubt AND t.last_sent_ms < now.ms - 3600000
    UNION ALL
    SELECT 'rewound', w.id, w.first_sent_ms, NULL
      FROM (SELECT id, first_sent_ms FROM waiting WHERE doubt
             ORDER BY first_sent_ms LIMIT 100000) w
    UNION ALL
    SELECT 'unknown', c.id, c.closed_ms, NULL FROM closed c, now
     WHERE c.closed_ms > now.ms - 604800000 AND c.kind = :submit_unknown
       AND c.provider_task_id = ''
    UNION ALL
    SELECT 'untold', t.id, coalesce(nullif(t.settled_ms, 0), c.settled_ms), NULL
      FROM task t LEFT JOIN closed c USING (id), now
     WHERE t.state IN (:SUCCEEDED, :FAILED)
       AND coalesce(nullif(t.settled_ms, 0), c.settled_ms) < now.ms - 600000
    UNION ALL
    SELECT 'unaccepted', a.id, r.received_ms, NULL
      FROM accepted a JOIN request r USING (id), now
     WHERE r.received_ms < now.ms - 600000
    UNION ALL
    SELECT 'overdue', t.id, t.deadline_ms, NULL FROM task t, now
     WHERE t.state IN (:QUEUED, :RUNNING) AND t.deadline_ms > 0
       AND t.deadline_ms < now.ms - 600000
    UNION ALL
    SELECT 'overdue', w.id, w.deadline_ms, NULL FROM waiting w, now
     WHERE w.deadline_ms > 0 AND w.deadline_ms < now.ms - 600000
    UNION ALL
    SELECT 'suspect', t.id, t.takeovers_since_ms, NULL FROM task t
     WHERE t.takeovers > 20
    UNION ALL
    SELECT 'cancel', o.task, o.ordered_ms, NULL FROM cancel o, now
     WHERE o.ordered_ms < now.ms - 3600000
       AND (EXISTS (SELECT FROM task t WHERE t.id = o.task)
           OR EXISTS (SELECT FROM waiting w WHERE w.id = o.task))
    UNION ALL
    SELECT 'no_worker', 0, NULL, NULL
     WHERE NOT EXISTS (SELECT FROM lease WHERE NOT dead)
       AND (EXISTS (SELECT FROM waiting) OR EXISTS (SELECT FROM task))
    UNION ALL
    SELECT 'silent', 0, v.at_ms, l.name
      FROM lease l JOIN vitals v ON v.lease = l.id, now
     WHERE NOT l.dead AND v.at_ms < now.ms - 60000
    UNION ALL
    SELECT 'versions', 0, NULL, string_agg(DISTINCT v.version, ', ')
      FROM lease l JOIN vitals v ON v.lease = l.id WHERE NOT l.dead
    HAVING count(DISTINCT v.version) > 1
    UNION ALL
    SELECT 'hold', 0, since_ms, reason || ' (' || scope || '): ' || message
      FROM standing_hold
    UNION ALL
    SELECT 'expiry', t.id, e.ms, NULL
      FROM task t, now, LATERAL (
          SELECT min(nullif((v ->> 'expires_at')::bigint, 0)) AS ms
            FROM json_array_elements(nullif(t.result, '')::json) v) e
     WHERE t.state = :READY AND t.result IS NOT NULL
       AND e.ms < now.ms + 3600000
    UNION ALL
    SELECT 'history', 0, min(closed_ms), NULL FROM closed
    HAVING min(closed_ms) < $1::bigint - 172800000
)
SELECT json_strip_nulls(json_build_object('finding', finding, 'n', count(*),
           'since_ms', min(since_ms),
           'of', nullif((array_agg(coalesce(detail, (SELECT request_id
               FROM request r WHERE r.id = found.id)) ORDER BY since_ms))[1:5],
               ARRAY[NULL]::text[]),
           'now_ms', (SELECT ms FROM now)))
  FROM found GROUP BY finding ORDER BY finding;
