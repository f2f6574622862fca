-- How long the provider took for the last hundred videos of a mode: of the last 5000
-- requests that ended, since a mode may be rare. $1 mode (enum request_mode).
SELECT json_strip_nulls(json_build_object(
           'samples', count(*),
           'estimate_ms', (percentile_cont(0.5) WITHIN GROUP
                              (ORDER BY generated_ms - submitted_ms))::bigint))
  FROM (SELECT t.generated_ms, t.submitted_ms
          FROM (SELECT id, generated_ms, submitted_ms FROM closed
                 ORDER BY closed_ms DESC LIMIT 5000) t
         CROSS JOIN LATERAL (
               SELECT mode FROM request WHERE id = t.id OFFSET 0) r
         WHERE r.mode = $1::int AND t.submitted_ms > 0
           AND t.generated_ms > t.submitted_ms
         ORDER BY t.id DESC LIMIT 100) recent;
