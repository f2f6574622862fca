-- Rows of the working table by id, as they are now.
SELECT
    t.id, t.state, t.owner, t.fence, t.version, t.submission, t.sends, t.doubt,
    t.late, t.billed_open, t.account, t.provider_task_id, t.received_ms,
    t.deadline_ms, t.first_sent_ms, t.last_sent_ms, t.submitted_ms,
    t.generated_ms, t.stored_ms, t.settled_ms, t.not_before_ms, t.tries,
    t.takeovers, t.takeovers_since_ms, t.kind, t.has_cost, t.cost,
    t.credits_cost,
    coalesce(t.unusable, '') AS unusable, t.result, t.event,
    r.request_id, r.tenant, r.traceparent, r.tracestate,
    EXISTS (SELECT FROM cancel o WHERE o.task = t.id) AS cancel
FROM unnest($1::bigint[]) AS v(id)
JOIN task t ON t.id = v.id
JOIN request r ON r.id = t.id;
