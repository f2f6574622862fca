-- pixverse-ctl list: newest first, in flight, waiting and told.
-- $1 states (an array literal, null: all), $2 tenant (null: all),
-- $3 received since (ms), $4 how many at most, $5 states with a kind, as
-- 100 * state + kind (null: all).
WITH found AS (
    (SELECT t.id, t.state, t.kind, t.owner, t.doubt, t.late, t.provider_task_id,
            t.settled_ms, CASE WHEN t.has_cost THEN t.cost END AS cost,
            r.request_id, r.tenant, r.mode, r.priority,
            t.received_ms
       FROM task t JOIN request r USING (id)
      WHERE NOT :bare AND ($1::int[] IS NULL OR t.state = ANY ($1::int[])
            OR 100 * t.state + t.kind = ANY ($5::int[]))
        AND ($2::text IS NULL OR r.tenant = $2::text)
        AND t.received_ms >= $3::bigint
      ORDER BY t.id DESC LIMIT $4::bigint)
    UNION ALL
    (SELECT w.id, :QUEUED, 0, 0, false, false, '', 0, NULL,
            r.request_id, r.tenant, r.mode, r.priority,
            w.received_ms
       FROM waiting w JOIN request r USING (id)
      WHERE ($1::int[] IS NULL OR :QUEUED = ANY ($1::int[]))
        AND ($2::text IS NULL OR r.tenant = $2::text)
        AND w.received_ms >= $3::bigint
      ORDER BY w.id DESC LIMIT $4::bigint)
    UNION ALL
    (SELECT t.id, coalesce(k.state, t.state), t.kind, t.owner, t.doubt, t.late,
            t.provider_task_id,
            t.settled_ms, CASE WHEN t.has_cost THEN t.cost END AS cost,
            r.request_id, r.tenant, r.mode, r.priority,
            t.received_ms
       FROM closed t JOIN request r USING (id) LEFT JOIN task k USING (id)
      WHERE ($1::int[] IS NULL OR coalesce(k.state, t.state) = ANY ($1::int[])
            OR 100 * coalesce(k.state, t.state) + t.kind = ANY ($5::int[]))
        AND ($2::text IS NULL OR r.tenant = $2::text)
        AND t.received_ms >= $3::bigint
      ORDER BY t.id DESC LIMIT $4::bigint))
SELECT json_strip_nulls(json_build_object(
           'request_id', request_id, 'tenant', tenant, 'state', state,
           'kind', kind, 'mode', mode, 'priority', priority,
           'provider_task_id', nullif(provider_task_id, ''),
           'doubt', nullif(doubt, false), 'late', nullif(late, false),
           'cost', cost, 'received_ms', received_ms,
           'settled_ms', nullif(settled_ms, 0),
           'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint))
  FROM found
 ORDER BY id DESC
 LIMIT $4::bigint;
