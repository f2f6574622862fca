-- New requests, in the order of their ids, so that two batches can't wait for
-- each other; none twice. At fault (with an event): ended from the start. What was
-- produced before the database was set back may have been sent then, and waits in
-- doubt. What was cancelled before it came waits too, but nobody claims it: behind
-- early_look.sql, so that no such order is overlooked. What is older than the ids
-- that are known comes in only where it is known.
-- What extends another request waits for that, blocked (unblock.sql).
-- Arrays are unnested in the SELECT list: in a FROM each value of each is stored aside
-- first, a tenth of what all this takes. All but $1 may be shorter: NULLs are left out at
-- their ends. What is there is looked for, and not left to ON CONFLICT, which is as dear
-- again: where another transaction brings an id at the same time, one of both fails, and
-- asks again (store/intake.c).
-- $8 null: [], $16 the only account that may have it (null: any), $17 the estimate of its price,
-- $18 when the last message of its id was produced, $19 who tells that they were taken
-- in (those at fault are nobody's), $20 since when ids are known, as our settings say,
-- $21 whether that is told.
WITH old AS MATERIALIZED (
    SELECT v.request_id, greatest(0, least(v.received_ms, v.produced_ms)) AS ms
    FROM unnest($1::text[], $12::bigint[], $14::bigint[])
        AS v(request_id, received_ms, produced_ms), meta
    WHERE v.produced_ms < meta.rewound_ms
), n AS (
    INSERT INTO request (
        request_id, content, tenant, mode, priority, deadline_seconds,
        metadata, warnings, traceparent, tracestate, body, source, account, price,
        received_ms, seen_ms)
    SELECT
        request_id, content, tenant, mode, priority, deadline_seconds,
        metadata, coalesce(warnings, '[]'), traceparent, tracestate, body, source,
        account, price, received_ms, greatest(received_ms, newest_ms)
    FROM (
        SELECT
            unnest($1::text[]) AS request_id,
            unnest($2::bytea[]) AS content,
            unnest($3::text[]) AS tenant,
            unnest($4::smallint[]) AS mode,
            unnest($5::smallint[]) AS priority,
            unnest($6::bigint[]) AS deadline_seconds,
            unnest($7::text[]) AS metadata,
            unnest($8::text[]) AS warnings,
            unnest($9::text[]) AS traceparent,
            unnest($10::text[]) AS tracestate,
            unnest($11::text[]) AS body,
            unnest($12::bigint[]) AS received_ms,
            unnest($15::text[]) AS source,
            unnest($16::text[]) AS account,
            unnest($17::bigint[]) AS price,
            unnest($18::bigint[]) AS newest_ms
    ) v
    WHERE newest_ms >= greatest($20::bigint, (SELECT known_from_ms FROM meta))
        AND NOT EXISTS (SELECT FROM request r WHERE r.request_id = v.request_id)
    RETURNING id, request_id, tenant, priority, source, account, received_ms,
        coalesce(received_ms + deadline_seconds * 1000, 0) AS deadline_ms,
        -- Only faulty rows, which are few, look for their event; and as a rule the
        -- database was never set back.
        CASE WHEN body IS NULL THEN (
            SELECT v.event FROM unnest($1::text[], $13::text[]) AS v(request_id, event)
            WHERE v.request_id = request.request_id
        ) END AS event,
        CASE WHEN (SELECT rewound_ms > 0 FROM meta) AND body IS NOT NULL THEN (
            SELECT old.ms FROM old WHERE old.request_id = request.request_id
        ) END AS old_ms
), t AS (
    INSERT INTO task (
        :closed_columns)
    SELECT
        id, :FAILED, 0, 0, 0, 0, 0, 0, false, false, false, '', '',
        received_ms, deadline_ms, 0, 0, 0, 0, 0, received_ms, 0, 0, 0, 0,
        :invalid_request, false, 0, 0, NULL, NULL, NULL
    FROM n WHERE event IS NOT NULL
), c AS (
    INSERT INTO closed (
        :closed_columns)
    SELECT
        id, :CLOSED, 0, 0, 0, 0, 0, 0, false, false, false, '', '',
        received_ms, deadline_ms, 0, 0, 0, 0, 0, received_ms, 0, 0, 0, 0,
        :invalid_request, false, 0, 0, NULL, NULL, event
    FROM n WHERE event IS NOT NULL
), w AS (
    INSERT INTO waiting (
        priority, source, pinned, tenant, :waiting_columns)
    SELECT
        priority, source, account,
        CASE WHEN (SELECT sharing.on FROM sharing) THEN tenant END,
        id, 0, 0, 0, 0, old_ms IS NOT NULL, '', received_ms,
        deadline_ms, coalesce(old_ms, 0), 0,
        CASE WHEN source IS NULL THEN 0 ELSE received_ms END, 0, 0, NULL
    FROM n WHERE event IS NULL
), x AS (
    -- As a rule there is none, and no row is looked at.
    INSERT INTO cancel (task)
    SELECT id FROM n
    WHERE (SELECT true FROM early_cancel LIMIT 1) AND event IS NULL AND (
        SELECT kept_ms > received_ms - 86400000 FROM early_cancel k
        WHERE k.request_id = n.request_id AND k.tenant = n.tenant)
), a AS (
    INSERT INTO accepted (id, owner)
    SELECT id, $19::bigint FROM n WHERE $21::boolean AND event IS NULL
)
-- Which are new, unless all are.
SELECT s.stored, n.request_id
FROM (SELECT count(*) AS stored FROM n) s
LEFT JOIN n ON s.stored < cardinality($1::text[]);
