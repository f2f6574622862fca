-- Claims of lease $1 that began before the budget was there end; those that begin see
-- it. One lease at a time: its worker's beats wait behind this, and whoever is frozen in
-- the midst of a claim must not hold up all the others'.
SELECT json_build_object('workers', count(*))
  FROM (SELECT id FROM lease WHERE id = $1::bigint FOR UPDATE) l;
