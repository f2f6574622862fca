-- A provider id that somebody learnt, where the submission is that of the send. What
-- came to a final end is in closed (learn_told.sql).
-- $1 task, $2 submission, $3 provider id.
UPDATE task t SET
    provider_task_id = $3::text,
    state = CASE WHEN t.state = :QUEUED THEN :SUBMITTING ELSE t.state END,
    owner = CASE WHEN t.state = :QUEUED THEN -1 ELSE t.owner END,
    doubt = t.doubt OR t.state = :QUEUED,
    kind = CASE WHEN t.state = :QUEUED THEN 0 ELSE t.kind END,
    fence = t.fence + (t.state = :QUEUED)::integer,
    version = t.version + (t.state = :QUEUED)::integer
WHERE t.id = $1::bigint AND t.submission = $2::integer
    AND t.provider_task_id = ''
    AND NOT :bare AND NOT :attempt_over
RETURNING t.id;
