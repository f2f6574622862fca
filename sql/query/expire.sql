-- Waiting rows past their deadline, cancelled ones, and those whose source failed
-- or was waited for too long, become ours, queued still, to be settled; those that this program can't read leave the queue as they
-- are, nobody's.
-- $1 owner, $2 now, $3 most rows, $4 CHAIN_WAIT_MS.
WITH late AS MATERIALIZED (
    SELECT w.ctid AS place
    FROM waiting w
    WHERE w.deadline_ms > 0 AND w.deadline_ms <= $2::bigint
        AND EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
    ORDER BY w.deadline_ms
    LIMIT $3::integer
    FOR UPDATE OF w SKIP LOCKED
), ordered AS MATERIALIZED (
    -- By the id of each order: a join would read all that waits, where nothing is
    -- known of the tables yet.
    SELECT w.place
    FROM cancel o CROSS JOIN LATERAL (
        SELECT ctid AS place FROM waiting WHERE id = o.task
        FOR UPDATE SKIP LOCKED) w
    WHERE EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
    LIMIT $3::integer
), ended AS MATERIALIZED (
    SELECT w.ctid AS place
    FROM waiting w
    WHERE w.kind <> 0
        AND EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
    ORDER BY w.id
    LIMIT $3::integer
    FOR UPDATE OF w SKIP LOCKED
), blocked AS MATERIALIZED (
    SELECT w.ctid AS place
    FROM waiting w
    WHERE w.source IS NOT NULL AND w.not_before_ms <= $2::bigint - $4::bigint
        AND EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
    ORDER BY w.not_before_ms
    LIMIT $3::integer
    FOR UPDATE OF w SKIP LOCKED
), pick AS MATERIALIZED (
    SELECT place FROM late UNION SELECT place FROM ordered
    UNION SELECT place FROM ended UNION SELECT place FROM blocked
    LIMIT $3::integer
), gone AS (
    DELETE FROM waiting w USING pick
    WHERE w.ctid = pick.place -- what was changed since: the next time
    RETURNING
        :w.queued_columns, w.source
), seen AS MATERIALIZED (
    SELECT t.*, :readable IS TRUE AS readable FROM gone t
), t AS (
    INSERT INTO task (
        :closed_columns)
    SELECT
        id, state, CASE WHEN readable THEN $1::bigint ELSE owner END,
        fence + readable::integer, version + readable::integer, submission, attempt,
        sends, doubt, late, billed_open, account, provider_task_id, received_ms,
        deadline_ms, first_sent_ms, last_sent_ms, submitted_ms, generated_ms,
        stored_ms, settled_ms, not_before_ms, tries, takeovers,
        takeovers_since_ms, CASE
            WHEN source IS NULL OR not_before_ms > $2::bigint - $4::bigint
                OR (deadline_ms > 0 AND deadline_ms <= $2::bigint) THEN kind
            ELSE :source_failed END,
        has_cost, cost, credits_cost, source_task_id, result, event
    FROM seen
    RETURNING *
)
SELECT
    :t.task_columns,
    r.request_id, r.tenant, r.traceparent, r.tracestate,
    EXISTS (SELECT FROM cancel o WHERE o.task = t.id) AS cancel
FROM t JOIN request r ON r.id = t.id
WHERE t.owner = $1::bigint;
