-- The same for a row that waits: it must not be sent again. It is taken over as
-- any other submission whose id is there, and runs from then on.
WITH gone AS (
    DELETE FROM waiting w
    WHERE w.id = $1::bigint AND w.submission = $2::integer
    RETURNING
        :w.queued_columns
)
INSERT INTO task (
        :closed_columns)
SELECT
    id, :SUBMITTING, -1, fence + 1, version + 1, submission, attempt, sends, true, late,
    billed_open, account, $3::text, received_ms, deadline_ms, first_sent_ms,
    last_sent_ms, submitted_ms, generated_ms, stored_ms, settled_ms,
    not_before_ms, tries, takeovers, takeovers_since_ms, 0, has_cost, cost,
    credits_cost, source_task_id, result, event
FROM gone
RETURNING id;
