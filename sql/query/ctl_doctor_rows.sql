-- pixverse-ctl doctor: rows that don't agree with one another: a finding a row, how
-- many and a few of them. One snapshot: a request that moves is in one place.
-- $1 how many of the newest requests are looked at.
WITH newest AS MATERIALIZED (
    SELECT id, request_id FROM request
     WHERE pruned_ms IS NULL ORDER BY id DESC LIMIT $1::bigint
), found (finding, id, name) AS (
    SELECT 'lost', n.id, n.request_id FROM newest n
     WHERE NOT EXISTS (SELECT FROM task t WHERE t.id = n.id)
       AND NOT EXISTS (SELECT FROM waiting w WHERE w.id = n.id)
       AND NOT EXISTS (SELECT FROM closed c WHERE c.id = n.id)
    UNION ALL
    SELECT 'twice', t.id, NULL FROM task t
     WHERE EXISTS (SELECT FROM waiting w WHERE w.id = t.id)
        OR (NOT :bare AND EXISTS (SELECT FROM closed c WHERE c.id = t.id))
    UNION ALL
    SELECT 'twice', n.id, n.request_id FROM newest n
     WHERE EXISTS (SELECT FROM waiting w WHERE w.id = n.id)
       AND EXISTS (SELECT FROM closed c WHERE c.id = n.id)
    UNION ALL
    SELECT 'no_end', t.id, NULL FROM task t
     WHERE :bare AND NOT EXISTS (SELECT FROM closed c WHERE c.id = t.id)
    UNION ALL
    SELECT 'no_request', o.id, '#' || o.id
      FROM (SELECT id FROM task UNION ALL SELECT id FROM waiting) o
     WHERE NOT EXISTS (SELECT FROM request r WHERE r.id = o.id)
    UNION ALL
    SELECT 'unreadable', t.id, NULL FROM task t WHERE :readable IS NOT TRUE
    UNION ALL
    SELECT 'same_task', t.id, NULL FROM task t
     WHERE t.provider_task_id <> '' AND (
        EXISTS (SELECT FROM task o
            WHERE o.provider_task_id = t.provider_task_id AND o.id <> t.id)
        OR EXISTS (SELECT FROM closed c
            WHERE hashtextextended(c.provider_task_id, 0)
                    = hashtextextended(t.provider_task_id, 0)
              AND c.provider_task_id = t.provider_task_id
              AND c.provider_task_id <> '' AND c.id <> t.id))
    UNION ALL
    SELECT 'same_task', n.id, n.request_id
      FROM newest n JOIN closed t USING (id)
     WHERE t.provider_task_id <> '' AND EXISTS (
        SELECT FROM closed c
         WHERE hashtextextended(c.provider_task_id, 0)
                = hashtextextended(t.provider_task_id, 0)
           AND c.provider_task_id = t.provider_task_id
           AND c.provider_task_id <> '' AND c.id <> t.id)
    UNION ALL
    SELECT 'no_event', n.id, n.request_id
      FROM newest n JOIN closed c USING (id) WHERE c.event IS NULL
    UNION ALL
    -- What the event says of its end, and the row. PostgreSQL reads no \u0000.
    SELECT 'other_event', n.id, n.request_id
      FROM newest n JOIN closed c USING (id), LATERAL (
          SELECT CASE WHEN position('\u0000' IN t.text) = 0
              THEN substring(t.text FROM E'\nvalue [0-9]+\n(.*)')::json END
                  AS value
          FROM (SELECT event_text(c.event) AS text OFFSET 0) t) e
     WHERE e.value IS NOT NULL AND (
        e.value ->> 'request_id' IS DISTINCT FROM n.request_id
        OR (e.value ->> 'status' = 'completed') <> (c.kind = 0)
        OR (c.has_cost AND (e.value ->> 'cost')::float8 IS DISTINCT FROM c.cost))
)
SELECT json_build_object('finding', finding, 'n', count(*),
           'of', (array_agg(coalesce(name, (SELECT request_id FROM request r
               WHERE r.id = found.id), '#' || id) ORDER BY id DESC))[1:5])
  FROM found GROUP BY finding ORDER BY finding;
