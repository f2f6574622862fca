-- Events that were told, in the order of their ends: those that settled at $1 or
-- later and before $2 (ms), of tenant $3 (null: all), behind the one of $4 (its
-- time), $5 (its request) and $6 (its fence), $7 at most.
SELECT json_build_object('request_id', r.request_id, 'event', event_text(e.event),
           'at_ms', e.at_ms, 'id', e.id, 'fence', e.fence)
  FROM (
    (SELECT c.closed_ms AS at_ms, c.id, c.fence, c.event
       FROM closed c JOIN request q USING (id)
      WHERE c.closed_ms >= greatest($1::bigint, $4::bigint)
        AND (c.closed_ms, c.id, c.fence) >
            ($4::bigint, $5::bigint, $6::integer)
        AND c.settled_ms >= $1::bigint AND c.settled_ms < $2::bigint
        AND ($3::text IS NULL OR q.tenant = $3::text) AND c.event IS NOT NULL
        AND NOT EXISTS (SELECT FROM task k WHERE k.id = c.id)
      ORDER BY c.closed_ms, c.id, c.fence LIMIT $7::bigint)
    UNION ALL
    (SELECT p.closed_ms, p.id, p.fence, p.event
       FROM past p JOIN request q USING (id)
      WHERE p.closed_ms >= greatest($1::bigint, $4::bigint)
        AND (p.closed_ms, p.id, p.fence) >
            ($4::bigint, $5::bigint, $6::integer)
        AND p.settled_ms >= $1::bigint AND p.settled_ms < $2::bigint
        AND ($3::text IS NULL OR q.tenant = $3::text) AND p.event IS NOT NULL
      ORDER BY p.closed_ms, p.id, p.fence LIMIT $7::bigint)
    UNION ALL
    -- Told, and its video may still come.
    (SELECT t.settled_ms, t.id, t.fence, t.event
       FROM task t JOIN request q USING (id)
      WHERE t.state IN (:LATE, :READY) AND t.event IS NOT NULL
        AND (t.settled_ms, t.id, t.fence) >
            ($4::bigint, $5::bigint, $6::integer)
        AND t.settled_ms >= $1::bigint AND t.settled_ms < $2::bigint
        AND ($3::text IS NULL OR q.tenant = $3::text)
      ORDER BY t.settled_ms, t.id, t.fence LIMIT $7::bigint)
  ) e JOIN request r ON r.id = e.id
 ORDER BY e.at_ms, e.id, e.fence LIMIT $7::bigint;
