-- Waiting rows become ours with the intent to send: what task_step() says of a
-- claimed task. $1 owner, $2 now, $3 most rows, $4 account, $5 bucket,
-- $6 GENERATIONS_MAX or 0, $7 one in doubt has to be first sent after that (and
-- to an account that was known when the database was set back). One that this
-- program can't read leaves the queue as it is, nobody's. The first row tells the
-- room, even if none came; -1: another claim counts at this moment.
WITH room AS MATERIALIZED (
    SELECT CASE
        WHEN $6::integer = 0 OR NOT EXISTS (SELECT FROM waiting)
        THEN $3::integer
        WHEN current_setting('pixverse.counts', true) IS DISTINCT FROM 'true'
        THEN -1
        ELSE greatest(0, least($3::integer, $6::integer - (
            SELECT count(*)::integer FROM task
            WHERE owner <> 0 AND state IN (:SUBMITTING, :RUNNING)
                AND last_sent_ms > $2::bigint - 600000)))
        END AS n
), pick AS MATERIALIZED (
    SELECT w.id
    FROM waiting w
    WHERE w.not_before_ms <= $2::bigint
        AND (w.deadline_ms = 0 OR w.deadline_ms > $2::bigint)
        AND (NOT w.doubt OR (w.first_sent_ms > $7::bigint AND EXISTS (
            SELECT FROM account a, meta m
            WHERE a.account = $4::text AND a.since_ms <= m.rewound_ms)))
        AND EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
        -- Not a join: without statistics it would look at every pair.
        AND (SELECT o.task FROM cancel o WHERE o.task = w.id) IS NULL
        AND NOT EXISTS (
            SELECT FROM hold
            WHERE (reason IN ('auth', 'balance', 'channel')
                    AND scope = $4::text)
                OR (reason = 'storage' AND scope = $5::text)
                OR (reason = 'operator' AND scope = '*'))
    ORDER BY w.priority DESC, w.id
    LIMIT (SELECT greatest(0, n) FROM room)
    FOR UPDATE OF w SKIP LOCKED
), gone AS (
    DELETE FROM waiting w USING pick
    WHERE w.id = pick.id
    RETURNING
        :w.queued_columns
), t AS MATERIALIZED (
    SELECT t.*, :readable IS TRUE AS readable FROM gone t
), left_alone AS (
    INSERT INTO task (
        :closed_columns)
    SELECT
        :closed_columns
    FROM t WHERE NOT readable
), c AS (
    INSERT INTO task (
        :closed_columns)
    SELECT
        id, :SUBMITTING, $1::bigint, fence + 1, version + 1, submission,
        sends + 1, doubt, late, billed_open, $4::text, provider_task_id,
        received_ms, deadline_ms, CASE WHEN doubt
            THEN least(first_sent_ms, $2::bigint) ELSE $2::bigint END,
        $2::bigint, submitted_ms,
        generated_ms, stored_ms, settled_ms, not_before_ms, tries, 0,
        takeovers_since_ms, kind, has_cost, cost, credits_cost, result, event
    FROM t WHERE readable
    RETURNING *
), whole AS (
    SELECT
        :c.task_columns,
        r.request_id, r.tenant, r.priority,
        r.mode, r.metadata, r.warnings, r.traceparent, r.tracestate,
        r.deadline_seconds, r.body, encode(r.content, 'hex') AS content
    FROM c JOIN request r ON r.id = c.id
)
SELECT room.n AS room, whole.*
FROM room LEFT JOIN whole ON true
ORDER BY whole.priority DESC, whole.id;
