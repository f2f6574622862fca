-- What the last hundred videos of a mode cost, as far as it was told.
-- $1 mode (enum request_mode).
SELECT json_build_object('samples', count(*), 'cost', coalesce(avg(cost), 0))
  FROM (SELECT t.cost
          FROM closed t JOIN request r USING (id)
         WHERE r.mode = $1::int AND t.kind = 0 AND t.has_cost
         ORDER BY t.id DESC LIMIT 100) recent;
