-- Not a statement: what ":readable" stands for in others, so that none of them
-- touches what only a later program understands. Of a task t: a state and a kind
-- that this program knows, nothing missing, nothing too long for struct task_row,
-- and its request, with a body as long as it may be sent.
(t.state BETWEEN 0 AND 6 AND t.kind BETWEEN 0 AND 10
    AND octet_length(t.account) < 34 AND octet_length(t.provider_task_id) < 129
    AND num_nulls(
        t.owner, t.fence, t.version, t.submission, t.sends, t.doubt, t.late,
        t.billed_open, t.received_ms, t.deadline_ms, t.first_sent_ms,
        t.last_sent_ms, t.submitted_ms, t.generated_ms, t.stored_ms,
        t.settled_ms, t.not_before_ms, t.tries, t.takeovers,
        t.takeovers_since_ms, t.has_cost, t.cost, t.credits_cost) = 0
    AND (SELECT octet_length(r.request_id) < 129
                AND (t.state > 1 OR r.body IS NOT NULL)
            FROM request r WHERE r.id = t.id))
