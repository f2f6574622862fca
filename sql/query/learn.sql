-- A provider id that somebody learnt, where the submission is that of the send.
-- A row that waits must not be sent again: it is taken over as any other
-- submission whose id is there, and runs from then on.
-- $1 task, $2 submission, $3 provider id.
WITH hit AS MATERIALIZED (
    SELECT t.id, t.state = :QUEUED AS was_queued
    FROM task t
    WHERE t.id = $1::bigint AND t.submission = $2::integer
        AND t.provider_task_id = ''
    FOR UPDATE
), gone AS (
    DELETE FROM waiting w USING hit WHERE w.task = hit.id
)
UPDATE task t SET
    provider_task_id = $3::text,
    state = CASE WHEN hit.was_queued THEN :SUBMITTING ELSE t.state END,
    owner = CASE WHEN hit.was_queued THEN -1 ELSE t.owner END,
    doubt = t.doubt OR hit.was_queued,
    fence = t.fence + hit.was_queued::integer,
    version = t.version + hit.was_queued::integer
FROM hit
WHERE t.id = hit.id
RETURNING t.id;
