-- pixverse-ctl submit --wait: how far these requests are.
-- $1 request ids (an array literal).
SELECT json_strip_nulls(json_build_object(
           'request_id', r.request_id, 'state', t.state, 'kind', t.kind,
           'mode', r.mode, 'content', encode(r.content, 'hex'),
           'submitted_ms', nullif(t.submitted_ms, 0),
           'event', event_text(t.event),
           'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint))
  FROM request r
  JOIN (SELECT id, state, kind, submitted_ms, event FROM task t
         WHERE NOT :bare
        UNION ALL
        SELECT id, :QUEUED, 0, 0, NULL FROM waiting
        UNION ALL
        SELECT id,
            coalesce((SELECT k.state FROM task k WHERE k.id = c.id), state),
            kind, submitted_ms, event
          FROM closed c) t USING (id)
 WHERE r.request_id = ANY ($1::text[])
UNION ALL
-- Those whose history was pruned.
SELECT json_build_object(
           'request_id', request_id, 'content', encode(content, 'hex'),
           'pruned_ms', pruned_ms,
           'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
  FROM request
 WHERE request_id = ANY ($1::text[]) AND pruned_ms IS NOT NULL;
