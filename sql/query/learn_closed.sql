-- The same for a task that was told as submit_unknown: it opens again as late. How
-- it was told is kept in past, and its day is counted again.
WITH gone AS (
    DELETE FROM closed c
    WHERE c.id = $1::bigint AND c.submission = $2::integer
        AND c.provider_task_id = '' AND c.kind = :submit_unknown
        AND NOT :attempt_over
    RETURNING c.*
), kept AS (
    INSERT INTO past (
        :closed_columns, closed_ms)
    SELECT
        id, state, owner, fence, version, submission, attempt, sends, doubt, late,
        billed_open, account, $3::text, received_ms, deadline_ms, first_sent_ms,
        last_sent_ms, submitted_ms, generated_ms, stored_ms, settled_ms,
        not_before_ms, tries, takeovers, takeovers_since_ms, kind, has_cost,
        cost, credits_cost, source_task_id, result, event, closed_ms
    FROM gone
), recount AS (
    INSERT INTO stat_day (day, counted_ms)
    SELECT DATE '1970-01-01' + (closed_ms / 86400000)::integer, 0 FROM gone
    ON CONFLICT (day) DO UPDATE SET counted_ms = 0
    WHERE stat_day.counted_ms <> 0
)
INSERT INTO task (
        :closed_columns)
SELECT
    id, :LATE, -1, fence + 1, version + 1, submission, attempt, sends, doubt, true,
    billed_open, account, $3::text, received_ms, deadline_ms, first_sent_ms,
    last_sent_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    generated_ms, stored_ms, settled_ms, not_before_ms, tries, takeovers,
    takeovers_since_ms, kind, has_cost, cost, credits_cost, source_task_id, result, event
FROM gone
RETURNING id;
