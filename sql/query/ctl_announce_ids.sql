-- Events of these requests that were told, the first end first.
-- $1 request ids (an array literal).
SELECT json_strip_nulls(json_build_object(
           'request_id', r.request_id, 'pruned_ms', r.pruned_ms,
           'untold', nullif(EXISTS (SELECT FROM task k WHERE k.id = r.id
               AND k.state IN (:SUCCEEDED, :FAILED)), false),
           'events', (SELECT json_agg(event_text(e.event)
                   ORDER BY e.settled_ms, e.fence)
               FROM (
                   SELECT p.settled_ms, p.fence, p.event FROM past p
                    WHERE p.id = r.id AND p.event IS NOT NULL
                   UNION ALL
                   SELECT c.settled_ms, c.fence, c.event FROM closed c
                    WHERE c.id = r.id
                      AND NOT EXISTS (SELECT FROM task k WHERE k.id = c.id)
                   UNION ALL
                   SELECT t.settled_ms, t.fence, t.event FROM task t
                    WHERE t.id = r.id AND t.state IN (:LATE, :READY)
               ) e WHERE e.event IS NOT NULL)))
  FROM request r WHERE r.request_id = ANY ($1::text[])
 ORDER BY r.id;
