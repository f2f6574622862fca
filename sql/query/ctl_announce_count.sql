-- How many ctl_announce has, counted to $4 in each table. $1..$3 as there.
SELECT json_build_object('n',
    (SELECT count(*) FROM (
        SELECT FROM closed c JOIN request q USING (id)
         WHERE c.closed_ms >= $1::bigint
           AND c.settled_ms >= $1::bigint AND c.settled_ms < $2::bigint
           AND ($3::text IS NULL OR q.tenant = $3::text)
           AND c.event IS NOT NULL
           AND NOT EXISTS (SELECT FROM task k WHERE k.id = c.id)
         LIMIT $4::bigint) n)
    + (SELECT count(*) FROM (
        SELECT FROM past p JOIN request q USING (id)
         WHERE p.closed_ms >= $1::bigint
           AND p.settled_ms >= $1::bigint AND p.settled_ms < $2::bigint
           AND ($3::text IS NULL OR q.tenant = $3::text)
           AND p.event IS NOT NULL
         LIMIT $4::bigint) n)
    + (SELECT count(*) FROM task t JOIN request q USING (id)
        WHERE t.state IN (:LATE, :READY) AND t.event IS NOT NULL
          AND t.settled_ms >= $1::bigint AND t.settled_ms < $2::bigint
          AND ($3::text IS NULL OR q.tenant = $3::text)));
