-- Rows that came to a final end, where they are still what the turn saw: all of it
-- goes into closed at once, with the event. What stays of the task is a bare key,
-- until the event is told (told.sql); what else that has is as it was: to clear it
-- would be logged. The URLs of what is stored are not kept.
WITH l AS MATERIALIZED (
    SELECT * FROM unnest(
        :task_arrays
    ) AS v(:task_columns)
    ORDER BY id
), bared AS (
    UPDATE task t SET
        state = l.state, version = l.version, owner = l.owner, kind = l.kind,
        settled_ms = l.settled_ms, unusable = NULL, source_task_id = NULL,
        result = NULL, event = NULL
    FROM l
    WHERE t.id = l.id AND t.fence = l.fence AND t.version = l.version - 1
        AND (t.provider_task_id = ''
            OR t.provider_task_id = l.provider_task_id)
    RETURNING
        :l.closed_columns
)
INSERT INTO closed (
        :closed_columns)
SELECT
    id, :CLOSED, owner, fence, version, submission, attempt, sends, doubt, late,
    billed_open, account, provider_task_id, received_ms, deadline_ms,
    first_sent_ms, last_sent_ms, submitted_ms, generated_ms, stored_ms,
    settled_ms, nullif(not_before_ms, 0), tries, takeovers,
    nullif(takeovers_since_ms, 0), kind,
    has_cost, cost, credits_cost, source_task_id,
    CASE WHEN state <> :SUCCEEDED THEN result END, event
FROM bared
RETURNING id;
