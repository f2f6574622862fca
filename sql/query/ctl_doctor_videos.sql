-- pixverse-ctl doctor --storage: completed requests, newest first.
-- $1 with a smaller number, $2 at most so many.
SELECT json_build_object('id', c.id, 'request_id', r.request_id,
           'event', event_text(c.event))
  FROM closed c JOIN request r USING (id)
 WHERE c.id < $1::bigint AND c.kind = 0 AND c.event IS NOT NULL
 ORDER BY c.id DESC LIMIT $2::bigint;
