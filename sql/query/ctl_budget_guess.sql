-- The dearest of what completed of late, in millionths; none: nobody knows a cost.
SELECT json_strip_nulls(json_build_object('guess',
           floor(max(e.cost) * 1000000 + 0.5)::bigint))
  FROM (SELECT kind, has_cost, cost FROM closed
         ORDER BY closed_ms DESC LIMIT 2000) e
 WHERE e.kind = 0 AND e.has_cost AND e.cost BETWEEN 0 AND 1000000000;
