-- Claims that began before the budget was there end; those that begin see it.
SELECT json_build_object('workers', count(*))
  FROM (SELECT id FROM lease ORDER BY id FOR UPDATE) l;
