-- Which requests an order by filter is about: newest first. $1..$12 as in ctl_found.
SELECT json_build_object('id', r.id, 'request_id', r.request_id)
  FROM (SELECT id FROM :ctl_found found ORDER BY id DESC LIMIT $10::bigint) f
  JOIN request r USING (id)
 ORDER BY r.id DESC;
