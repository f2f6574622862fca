-- New requests, in the order of their ids, so that two batches can't wait for
-- each other; none twice. At fault (with an event): ended from the start. What was
-- produced before the database was set back may have been sent then, and waits in
-- doubt. What was cancelled before it came waits too, but nobody claims it: behind
-- early_look.sql, so that no such order is overlooked. What is older than the ids
-- that are known comes in only where it is known.
-- What extends another request waits for that, blocked (unblock.sql).
-- $16 the only account that may have it (null: any), $17 the estimate of its price,
-- $18 when the last message of its id was produced, $19 owner of those at fault and of
-- what is to be told of the others, $20 since when ids are known, as our settings say,
-- $21 whether it is told that they were taken in.
WITH v AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::text[], $2::bytea[], $3::text[], $4::smallint[], $5::smallint[],
        $6::bigint[], $7::text[], $8::text[], $9::text[], $10::text[],
        $11::text[], $12::bigint[], $13::text[], $14::bigint[], $15::text[],
        $16::text[], $17::bigint[], $18::bigint[]
    ) AS v(
        request_id, content, tenant, mode, priority, deadline_seconds,
        metadata, warnings, traceparent, tracestate, body, received_ms, event,
        produced_ms, source, account, price, newest_ms)
), old AS MATERIALIZED (
    SELECT v.request_id, greatest(0, least(v.received_ms, v.produced_ms)) AS ms
    FROM v, meta WHERE v.produced_ms < meta.rewound_ms
), n AS (
    INSERT INTO request (
        request_id, content, tenant, mode, priority, deadline_seconds,
        metadata, warnings, traceparent, tracestate, body, source, account, price,
        received_ms, seen_ms)
    SELECT
        request_id, content, tenant, mode, priority, deadline_seconds,
        metadata, warnings, traceparent, tracestate, body, source, account, price,
        received_ms, greatest(received_ms, newest_ms)
    FROM v
    WHERE newest_ms >= greatest($20::bigint, (SELECT known_from_ms FROM meta))
    ON CONFLICT (request_id) DO NOTHING
    RETURNING *
), e AS MATERIALIZED (
    -- A join of the two would look at every pair: only faulty rows, which are
    -- few, look for their event.
    SELECT n.id, n.request_id, n.tenant, n.priority, n.source, n.account,
        n.received_ms,
        coalesce(n.received_ms + n.deadline_seconds * 1000, 0) AS deadline_ms,
        CASE WHEN n.body IS NULL THEN (
            SELECT v.event FROM v WHERE v.request_id = n.request_id
        ) END AS event,
        CASE WHEN n.body IS NOT NULL THEN (
            SELECT old.ms FROM old WHERE old.request_id = n.request_id
        ) END AS old_ms
    FROM n
), t AS (
    INSERT INTO task (
        :closed_columns)
    SELECT
        id, :FAILED, $19::bigint, 0, 0, 0, 0, 0, false, false, false, '', '',
        received_ms, deadline_ms, 0, 0, 0, 0, 0, received_ms, 0, 0, 0, 0,
        :invalid_request, false, 0, 0, NULL, NULL, NULL
    FROM e WHERE event IS NOT NULL
), c AS (
    INSERT INTO closed (
        :closed_columns)
    SELECT
        id, :CLOSED, $19::bigint, 0, 0, 0, 0, 0, false, false, false, '', '',
        received_ms, deadline_ms, 0, 0, 0, 0, 0, received_ms, 0, 0, 0, 0,
        :invalid_request, false, 0, 0, NULL, NULL, event
    FROM e WHERE event IS NOT NULL
), w AS (
    INSERT INTO waiting (
        priority, source, pinned, tenant, :waiting_columns)
    SELECT
        priority, source, account,
        CASE WHEN (SELECT sharing.on FROM sharing) THEN tenant END,
        id, 0, 0, 0, 0, old_ms IS NOT NULL, '', received_ms,
        deadline_ms, coalesce(old_ms, 0), 0,
        CASE WHEN source IS NULL THEN 0 ELSE received_ms END, 0, 0, NULL
    FROM e WHERE event IS NULL
), x AS (
    -- As a rule there is none, and no row is looked at.
    INSERT INTO cancel (task)
    SELECT id FROM e
    WHERE (SELECT true FROM early_cancel LIMIT 1) AND event IS NULL AND (
        SELECT kept_ms > received_ms - 86400000 FROM early_cancel k
        WHERE k.request_id = e.request_id AND k.tenant = e.tenant)
), a AS (
    INSERT INTO accepted (id, owner)
    SELECT id, $19::bigint FROM e WHERE $21::boolean AND event IS NULL
)
SELECT id, request_id FROM e;
