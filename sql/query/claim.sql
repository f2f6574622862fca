-- Waiting rows become ours with the intent to send: what task_step() says of a
-- claimed task. Those that wait for another request are in no index of these.
-- $1 owner, $2 now, $3 most rows, $4 account, $5 bucket,
-- $6 one in doubt has to be first sent after that (and nobody can have sent it but
-- this account under this key: the database knew it when it was set back, and never
-- another), $7 of each priority
-- from 0 on, the id behind which it begins: dead versions of what was taken lie
-- before it, for as long as anybody holds an old snapshot, $8 the account has a limit
-- of slots: those that are free are in a setting (slots.sql). One that this program
-- can't read leaves the queue as it is, nobody's. Twice in the programs: claim_budgets
-- under budget_lock.sql, and claim without what lies between "if budgets" and "end",
-- which costs half of it, and takes nothing once there is a budget.
WITH pick AS MATERIALIZED (
    -- Priority by priority, as far down as there is room: nothing is sorted.
    -- Not an equation: the order by id alone would do then, all priorities' rows.
    SELECT next.id, next.place
    FROM generate_subscripts($7::bigint[], 1, true) AS p (at),
    LATERAL (
        SELECT w.id, w.place
        FROM (
            SELECT * FROM (
                SELECT w.priority, w.id, w.ctid AS place
                FROM waiting w
                WHERE (w.priority, w.id) > (p.at - 1, ($7::bigint[])[p.at])
                    AND w.priority <= p.at - 1 AND w.pinned IS NULL AND :claimable
                ORDER BY w.priority, w.id
                LIMIT :claim_room
                FOR UPDATE OF w SKIP LOCKED) free
            UNION ALL
            -- What only this account may have is a queue of its own.
            SELECT * FROM (
                SELECT w.priority, w.id, w.ctid AS place
                FROM waiting w
                WHERE w.pinned = split_part($4::text, ':', 1)
                    AND (w.priority, w.id) > (p.at - 1, ($7::bigint[])[p.at])
                    AND w.priority <= p.at - 1 AND :claimable
                ORDER BY w.priority, w.id
                LIMIT :claim_room
                FOR UPDATE OF w SKIP LOCKED) own) AS w
        ORDER BY w.priority, w.id
        LIMIT :claim_room
    ) AS next
    WHERE :no_hold
--if none
        AND NOT EXISTS (SELECT FROM budget)
--end
    LIMIT :claim_room
--if budgets
), today AS MATERIALIZED (
    SELECT ($2::bigint / 86400000)::integer AS day
), priced AS MATERIALIZED (
    -- Of tenants that have a budget: as a rule there is none, and no row is looked at.
    -- By their ids: a join would look at every pair, where nothing is known of the
    -- tables.
    SELECT w.id, pick.place, w.priority, coalesce(r.tenant, '') AS tenant,
        coalesce(r.price, (SELECT max(guess) FROM budget)) AS estimate,
        :budget_price AS price
    FROM pick
    CROSS JOIN LATERAL (
        SELECT id, priority, submission FROM waiting WHERE id = pick.id OFFSET 0) w
    CROSS JOIN LATERAL (
        SELECT tenant, price FROM request WHERE id = pick.id OFFSET 0) r
    WHERE (SELECT true FROM budget LIMIT 1) AND EXISTS (
        SELECT FROM budget b WHERE b.tenant = r.tenant OR b.tenant = '*')
), fits AS MATERIALIZED :budget_fits
, barred AS MATERIALIZED (
    SELECT id, place, tenant FROM priced WHERE id NOT IN (SELECT id FROM fits)
), behind AS MATERIALIZED (
    -- What stands behind them, so that others come to their turn at once.
    SELECT w.place, r.tenant
    FROM (
        SELECT f.id
        FROM generate_series(9, 0, -1) AS p (priority),
        LATERAL (
            (SELECT w.id FROM waiting w
            WHERE (w.priority, w.id) > (p.priority, 0)
                AND w.priority <= p.priority AND w.pinned IS NULL
                AND w.source IS NULL AND w.budget IS NULL
            ORDER BY w.priority, w.id
            LIMIT 1000)
            UNION ALL
            (SELECT w.id FROM waiting w
            WHERE w.pinned = split_part($4::text, ':', 1)
                AND (w.priority, w.id) > (p.priority, 0)
                AND w.priority <= p.priority
                AND w.source IS NULL AND w.budget IS NULL
            ORDER BY w.priority, w.id
            LIMIT 1000)
        ) f
        WHERE EXISTS (SELECT FROM barred)
        LIMIT 2000
    ) first
    -- By the id of each: a join would read all requests, for none.
    CROSS JOIN LATERAL (
        SELECT tenant FROM request
        WHERE id = first.id AND tenant IN (SELECT tenant FROM barred)
            AND first.id NOT IN (SELECT id FROM pick)
        OFFSET 0) r
    CROSS JOIN LATERAL (
        SELECT ctid AS place FROM waiting WHERE id = first.id
        FOR UPDATE SKIP LOCKED) w
), aside AS (
    UPDATE waiting w SET budget = a.tenant
    FROM (SELECT place, tenant FROM barred UNION ALL
        SELECT place, tenant FROM behind) a
    WHERE w.ctid = a.place AND current_setting('pixverse.budget', true) = 'true'
    RETURNING set_config('pixverse.barred', 'true', true)
--end
), gone AS (
    -- By its place, which the lock holds. What was changed since the statement's
    -- snapshot is not found there, and waits for the next claim.
    DELETE FROM waiting w USING pick
    WHERE w.ctid = pick.place
--if budgets
        AND w.id NOT IN (SELECT id FROM barred)
--end
    RETURNING
        :w.waiting_columns
), t AS MATERIALIZED (
    SELECT t.*, r.request_id, r.tenant, r.priority, r.mode, r.metadata, r.warnings,
        r.traceparent, r.tracestate, r.deadline_seconds, r.body, r.content,
        (:row_readable AND :request_readable) IS TRUE AS readable
    FROM (
        SELECT
            :g.queued_columns
        FROM gone g
    ) t LEFT JOIN request r ON r.id = t.id
), left_alone AS (
    INSERT INTO task (
        :closed_columns)
    SELECT
        :closed_columns
    FROM t WHERE NOT readable
), claimed AS NOT MATERIALIZED (
    -- Of a row as it is stored, and as it is told.
    SELECT
        id, :SUBMITTING::smallint AS state, $1::bigint AS owner, fence + 1 AS fence,
        version + 1 AS version, submission, attempt, sends + 1 AS sends, doubt, late,
        billed_open, $4::text AS account, provider_task_id, received_ms,
        nullif(deadline_ms, 0) AS deadline_ms, CASE WHEN doubt
            THEN least(first_sent_ms, $2::bigint) ELSE $2::bigint END AS first_sent_ms,
        $2::bigint AS last_sent_ms, NULL::bigint AS submitted_ms,
        NULL::bigint AS generated_ms, NULL::bigint AS stored_ms,
        NULL::bigint AS settled_ms, nullif(not_before_ms, 0) AS not_before_ms, tries,
        0 AS takeovers, NULL::bigint AS takeovers_since_ms, kind, has_cost,
        NULL::double precision AS cost, NULL::double precision AS credits_cost,
        unusable, source_task_id, result, event, request_id, tenant, priority, mode,
        metadata, warnings, traceparent, tracestate, deadline_seconds, body, content
    FROM t WHERE readable
), c AS (
    INSERT INTO task (
        :closed_columns)
    SELECT
        :closed_columns
    FROM claimed
--if budgets
), reserved AS (
    INSERT INTO money (task, submission, tenant, day, state, estimate, amount)
    SELECT t.id, t.submission, p.tenant, today.day, :spending, p.estimate, p.estimate
    FROM claimed t JOIN priced p ON p.id = t.id, today
    ON CONFLICT (task, submission) DO UPDATE SET tenant = excluded.tenant,
        day = excluded.day, state = excluded.state,
        estimate = excluded.estimate, amount = excluded.amount
--end
)
SELECT
    :c.task_columns,
    c.request_id, c.tenant, c.priority, c.mode, c.metadata, c.warnings, c.traceparent,
    c.tracestate, c.deadline_seconds, c.body, encode(c.content, 'hex') AS content
FROM claimed c
ORDER BY c.priority DESC, c.id;
