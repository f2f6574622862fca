-- What a worker does at present, in a row of its own. $1 owner, $2 version,
-- $3 draining, $4 intake paused, $5 time since the row before (0: the first),
-- $6 tasks by state, $7 submissions and transfers under way and the most of each,
-- $8 what was counted in that time, $9 how late it is.
INSERT INTO vitals (
    lease, at_ms, version, draining, paused, span_ms, states, slots, counts,
    late_ms)
SELECT id, (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    $2::text, $3::bigint = 1, $4::bigint = 1, $5::bigint, $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint
FROM lease WHERE id = $1::bigint AND NOT dead
ON CONFLICT (lease) DO UPDATE SET
    at_ms = EXCLUDED.at_ms, version = EXCLUDED.version,
    draining = EXCLUDED.draining, paused = EXCLUDED.paused,
    span_ms = EXCLUDED.span_ms, states = EXCLUDED.states,
    slots = EXCLUDED.slots, counts = EXCLUDED.counts,
    late_ms = EXCLUDED.late_ms
RETURNING lease;
