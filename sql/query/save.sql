-- Rows whose state changed, where they are still what the turn saw. Locked in
-- one order, so that two batches can't wait for each other. A row that waits
-- again comes back into the queue with it.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::bigint[], $2::smallint[], $3::bigint[], $4::integer[],
        $5::integer[], $6::integer[], $7::integer[], $8::boolean[],
        $9::boolean[], $10::boolean[], $11::text[], $12::text[], $13::bigint[],
        $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
        $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[],
        $22::integer[], $23::integer[], $24::bigint[], $25::smallint[],
        $26::boolean[], $27::double precision[], $28::double precision[],
        $29::text[], $30::text[],
        $31::text[]
    ) AS v(
        id, state, owner, fence, version, submission, sends, doubt, late,
        billed_open, account, provider_task_id, received_ms, deadline_ms,
        first_sent_ms, last_sent_ms, submitted_ms, generated_ms, stored_ms,
        settled_ms, not_before_ms, tries, takeovers, takeovers_since_ms, kind,
        has_cost, cost, credits_cost, unusable, result, event)
), l AS MATERIALIZED (
    SELECT given.*
    FROM given JOIN task t ON t.id = given.id
    WHERE t.fence = given.fence AND t.version = given.version - 1
        AND (t.provider_task_id = ''
            OR t.provider_task_id = given.provider_task_id)
    ORDER BY t.id
    FOR UPDATE OF t
), saved AS (
    UPDATE task t SET
        state = l.state,
        owner = CASE WHEN l.state = 0 THEN 0 ELSE l.owner END,
        version = l.version,
        submission = l.submission,
        sends = l.sends,
        doubt = l.doubt,
        late = l.late,
        billed_open = l.billed_open,
        account = l.account,
        provider_task_id = l.provider_task_id,
        received_ms = l.received_ms,
        deadline_ms = l.deadline_ms,
        first_sent_ms = l.first_sent_ms,
        last_sent_ms = l.last_sent_ms,
        submitted_ms = l.submitted_ms,
        generated_ms = l.generated_ms,
        stored_ms = l.stored_ms,
        settled_ms = l.settled_ms,
        not_before_ms = l.not_before_ms,
        tries = l.tries,
        takeovers = l.takeovers,
        takeovers_since_ms = l.takeovers_since_ms,
        kind = l.kind,
        has_cost = l.has_cost,
        cost = l.cost,
        credits_cost = l.credits_cost,
        unusable = nullif(l.unusable, ''),
        result = l.result,
        event = l.event
    FROM l
    WHERE t.id = l.id
    RETURNING t.id, t.state, t.not_before_ms, t.deadline_ms
), queued AS (
    INSERT INTO waiting (task, priority, not_before_ms, deadline_ms)
    SELECT s.id, r.priority, s.not_before_ms, s.deadline_ms
    FROM saved s JOIN request r ON r.id = s.id
    WHERE s.state = 0
    ON CONFLICT (task) DO NOTHING
)
SELECT id FROM saved;
