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
    SELECT next.id
    FROM generate_subscripts($7::bigint[], 1, true) AS p (at),
    LATERAL (
        SELECT w.id
        FROM (
            SELECT * FROM (
                SELECT w.priority, w.id
                FROM waiting w
                WHERE (w.priority, w.id) > (p.at - 1, ($7::bigint[])[p.at])
                    AND w.priority <= p.at - 1 AND w.pinned IS NULL AND :claimable
                ORDER BY w.priority, w.id
                LIMIT :claim_room
                FOR UPDATE OF w SKIP LOCKED) free
            UNION ALL
            -- What only this account may have is a queue of its own.
            SELECT * FROM (
                SELECT w.priority, w.id
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
    SELECT w.id, w.priority, coalesce(r.tenant, '') AS tenant,
        coalesce(r.price, (SELECT max(guess) FROM budget)) AS estimate,
        :budget_price AS price
    FROM pick JOIN waiting w ON w.id = pick.id JOIN request r ON r.id = pick.id
    WHERE (SELECT true FROM budget LIMIT 1) AND EXISTS (
        SELECT FROM budget b WHERE b.tenant = r.tenant OR b.tenant = '*')
), fits AS MATERIALIZED :budget_fits
, barred AS MATERIALIZED (
    SELECT id, tenant FROM priced WHERE id NOT IN (SELECT id FROM fits)
), behind AS MATERIALIZED (
    -- What stands behind them, so that others come to their turn at once.
    SELECT w.id, r.tenant
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
    CROSS JOIN LATERAL (SELECT tenant FROM request WHERE id = first.id OFFSET 0) r
    JOIN waiting w ON w.id = first.id
    WHERE w.id NOT IN (SELECT id FROM pick)
        AND r.tenant IN (SELECT tenant FROM barred)
    FOR UPDATE OF w SKIP LOCKED
), aside AS (
    UPDATE waiting w SET budget = a.tenant
    FROM (SELECT id, tenant FROM barred UNION ALL
        SELECT id, tenant FROM behind) a
    WHERE w.id = a.id AND current_setting('pixverse.budget', true) = 'true'
    RETURNING set_config('pixverse.barred', 'true', true)
--end
), gone AS (
    DELETE FROM waiting w USING pick
    WHERE w.id = pick.id
--if budgets
        AND w.id NOT IN (SELECT id FROM barred)
--end
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
        id, :SUBMITTING, $1::bigint, fence + 1, version + 1, submission, attempt,
        sends + 1, doubt, late, billed_open, $4::text, provider_task_id,
        received_ms, deadline_ms, CASE WHEN doubt
            THEN least(first_sent_ms, $2::bigint) ELSE $2::bigint END,
        $2::bigint, submitted_ms,
        generated_ms, stored_ms, settled_ms, not_before_ms, tries, 0,
        takeovers_since_ms, kind, has_cost, cost, credits_cost, source_task_id, result, event
    FROM t WHERE readable
    RETURNING *
--if budgets
), reserved AS (
    INSERT INTO money (task, submission, tenant, day, state, estimate, amount)
    SELECT t.id, t.submission, p.tenant, today.day, :spending, p.estimate, p.estimate
    FROM c t JOIN priced p ON p.id = t.id, today
    ON CONFLICT (task, submission) DO UPDATE SET tenant = excluded.tenant,
        day = excluded.day, state = excluded.state,
        estimate = excluded.estimate, amount = excluded.amount
--end
), whole AS (
    SELECT
        :c.task_columns,
        r.request_id, r.tenant, r.priority,
        r.mode, r.metadata, r.warnings, r.traceparent, r.tracestate,
        r.deadline_seconds, r.body, encode(r.content, 'hex') AS content
    FROM c JOIN request r ON r.id = c.id
)
SELECT * FROM whole
ORDER BY priority DESC, id;
