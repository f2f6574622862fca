-- What the last hundred videos of a mode cost, as far as it was told: of the last 5000
-- requests that ended, since a mode may be rare. $1 mode (enum request_mode).
SELECT json_build_object('samples', count(*), 'cost', coalesce(avg(cost), 0))
  FROM (SELECT t.cost
          FROM (SELECT id, kind, has_cost, cost FROM closed
                 ORDER BY closed_ms DESC LIMIT 5000) t
         CROSS JOIN LATERAL (
               SELECT mode FROM request WHERE id = t.id OFFSET 0) r
         WHERE r.mode = $1::int AND t.kind = 0 AND t.has_cost
         ORDER BY t.id DESC LIMIT 100) recent;
