-- Rows that the provider gave up for want of room go back into the queue, as another
-- attempt, where they are still what the turn saw; what the one before was stays in
-- past, without an event: nobody was told. What a database that was set back knows of
-- is in doubt: the history that is lost may hold that attempt, too.
WITH l AS MATERIALIZED (
    SELECT * FROM unnest(
        :task_arrays
    ) AS v(:task_columns)
    ORDER BY id
), gone AS (
    DELETE FROM task t USING l
    WHERE t.id = l.id AND t.fence = l.fence AND t.version = l.version - 1
        AND t.provider_task_id = l.provider_task_id
    RETURNING
        :l.closed_columns
), kept AS (
    INSERT INTO past (
        :closed_columns)
    SELECT
        id, :CLOSED, owner, fence, version, submission, attempt - 1, sends, doubt,
        late, billed_open, account, provider_task_id, received_ms, deadline_ms,
        first_sent_ms, last_sent_ms, submitted_ms, generated_ms, stored_ms,
        settled_ms, 0, tries, takeovers, takeovers_since_ms, :provider_failed,
        has_cost, cost, credits_cost, source_task_id, NULL, NULL
    FROM gone
), queued AS (
    INSERT INTO waiting (
        priority, source, pinned, tenant, :waiting_columns)
    SELECT
        coalesce(r.priority, 0),
        CASE WHEN gone.source_task_id IS NULL THEN r.source END,
        CASE WHEN gone.source_task_id IS NULL THEN r.account
            ELSE nullif(split_part(gone.account, ':', 1), '') END,
        CASE WHEN (SELECT sharing.on FROM sharing)
            THEN coalesce(r.tenant, '') END,
        gone.id, gone.fence, gone.version, gone.submission, gone.attempt,
        gone.first_sent_ms < meta.rewound_ms, gone.account, gone.received_ms,
        gone.deadline_ms, gone.first_sent_ms, gone.last_sent_ms,
        gone.not_before_ms, gone.tries, gone.kind, gone.source_task_id
    FROM meta CROSS JOIN gone LEFT JOIN request r ON r.id = gone.id
)
SELECT id FROM gone;
