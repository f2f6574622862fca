-- pixverse-ctl doctor --storage: what was told of these requests, all ends of theirs;
-- `open`: they are in flight, and may have stored what is not told yet.
-- $1 request ids (an array literal).
SELECT json_strip_nulls(json_build_object('request_id', r.request_id,
           'pruned_ms', r.pruned_ms,
           'open', EXISTS (SELECT FROM task t WHERE t.id = r.id)
               OR EXISTS (SELECT FROM waiting w WHERE w.id = r.id),
           'events', (SELECT json_agg(event_text(e.event)) FROM (
               SELECT event FROM closed c WHERE c.id = r.id AND c.kind = 0
               UNION ALL
               SELECT event FROM past p WHERE p.id = r.id AND p.kind = 0
           ) e WHERE e.event IS NOT NULL)))
  FROM request r WHERE r.request_id = ANY ($1::text[]);
