-- Rows that were told leave the working table, unless somebody learnt a
-- provider id in the meantime. Result and event stay as they were stored.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::bigint[], $2::smallint[], $3::bigint[], $4::integer[],
        $5::integer[], $6::integer[], $7::integer[], $8::boolean[],
        $9::boolean[], $10::boolean[], $11::text[], $12::text[], $13::bigint[],
        $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
        $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[],
        $22::integer[], $23::integer[], $24::bigint[], $25::smallint[],
        $26::boolean[], $27::double precision[], $28::double precision[]
    ) AS v(
        id, state, owner, fence, version, submission, sends, doubt, late,
        billed_open, account, provider_task_id, received_ms, deadline_ms,
        first_sent_ms, last_sent_ms, submitted_ms, generated_ms, stored_ms,
        settled_ms, not_before_ms, tries, takeovers, takeovers_since_ms, kind,
        has_cost, cost, credits_cost)
), l AS MATERIALIZED (
    SELECT given.*
    FROM given JOIN task t ON t.id = given.id
    WHERE t.fence = given.fence AND t.version = given.version - 1
        AND t.provider_task_id = given.provider_task_id
    ORDER BY t.id
    FOR UPDATE OF t
), gone AS (
    DELETE FROM task t USING l
    WHERE t.id = l.id
    RETURNING
            l.id, l.state, l.owner, l.fence, l.version, l.submission, l.sends,
            l.doubt, l.late, l.billed_open, l.account, l.provider_task_id,
            l.received_ms, l.deadline_ms, l.first_sent_ms, l.last_sent_ms,
            l.submitted_ms, l.generated_ms, l.stored_ms, l.settled_ms,
            l.not_before_ms, l.tries, l.takeovers, l.takeovers_since_ms,
            l.kind, l.has_cost, l.cost, l.credits_cost, t.result, t.event
)
INSERT INTO closed (
        id, state, owner, fence, version, submission, sends, doubt, late,
        billed_open, account, provider_task_id, received_ms, deadline_ms,
        first_sent_ms, last_sent_ms, submitted_ms, generated_ms, stored_ms,
        settled_ms, not_before_ms, tries, takeovers, takeovers_since_ms, kind,
        has_cost, cost, credits_cost, result, event)
SELECT
        id, state, owner, fence, version, submission, sends, doubt, late,
        billed_open, account, provider_task_id, received_ms, deadline_ms,
        first_sent_ms, last_sent_ms, submitted_ms, generated_ms, stored_ms,
        settled_ms, not_before_ms, tries, takeovers, takeovers_since_ms, kind,
        has_cost, cost, credits_cost, result, event
FROM gone
RETURNING id;
