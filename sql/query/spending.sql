-- Not a statement: what ":spending" stands for in others: what a submission t means
-- for its tenant's budget, as lib/core/spending.c says: 0 nothing, 1 reserved,
-- 2 doubtful, 3 spent, 4 assumed. t is a whole row, wherever it is, no bare key.
(CASE
    WHEN t.state = :QUEUED THEN 2 * t.doubt::integer
    WHEN t.state = :SUBMITTING THEN 1 + t.doubt::integer
    WHEN t.state IN (:RUNNING, :READY) THEN 1 + t.late::integer
    WHEN t.state = :LATE THEN 2
    WHEN t.kind IN (:invalid_request, :submit_refused)
        OR (t.kind IN (:timed_out, :source_failed, :moderation,
                :provider_failed, :cancelled)
            AND t.provider_task_id = '' AND NOT t.doubt) THEN 0
    WHEN t.kind IN (:submit_unknown, :task_lost, :timed_out, :source_failed)
        THEN CASE WHEN t.state = :FAILED THEN 2
            WHEN t.has_cost THEN 3 ELSE 4 END
    ELSE 3 END)
