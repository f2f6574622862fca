-- The same for a row that waits: it must not be sent again. It is taken over as
-- any other submission whose id is there, and runs from then on: by the only account
-- that can have it, under its last key, where the row names none.
WITH gone AS (
    DELETE FROM waiting w
    WHERE w.id = $1::bigint AND w.submission = $2::integer AND NOT :attempt_over
    RETURNING
        :w.queued_columns, w.pinned
), t AS (
    INSERT INTO task (
        :closed_columns)
    SELECT
        id, :SUBMITTING, -1, fence + 1, version + 1, submission, attempt, sends, true, late,
        billed_open, coalesce(nullif(account, ''), (
            SELECT a.account FROM account a
            WHERE split_part(a.account, ':', 1) = gone.pinned
                OR (gone.pinned IS NULL AND NOT EXISTS (SELECT FROM account o
                    WHERE split_part(o.account, ':', 1) <> split_part(a.account, ':', 1)))
            ORDER BY a.since_ms DESC, a.account LIMIT 1), ''), $3::text, received_ms,
        deadline_ms, first_sent_ms, last_sent_ms, submitted_ms, generated_ms, stored_ms, settled_ms,
        not_before_ms, tries, takeovers, takeovers_since_ms, 0, has_cost, cost,
        credits_cost, source_task_id, result, event
    FROM gone
    RETURNING *
), reserved AS (
    -- No claim did, where it was sent before there was a budget, or before the database
    -- was set back. Of the day of its send, as in ctl_budget_fill.sql.
    INSERT INTO money (task, submission, tenant, day, state, estimate, amount)
    SELECT t.id, t.submission, r.tenant,
        (coalesce(nullif(t.first_sent_ms, 0), floor(extract(epoch FROM
            clock_timestamp()) * 1000)::bigint) / 86400000)::integer,
        :spending, price.estimate, price.estimate
    FROM t JOIN request r ON r.id = t.id
    CROSS JOIN LATERAL (
        SELECT coalesce(r.price, (SELECT max(guess) FROM budget)) AS estimate) price
    WHERE r.tenant IS NOT NULL AND EXISTS (
        SELECT FROM budget b WHERE b.tenant = r.tenant OR b.tenant = '*')
    ON CONFLICT (task, submission) DO UPDATE SET state = excluded.state,
        amount = money.estimate
)
SELECT id FROM t;
