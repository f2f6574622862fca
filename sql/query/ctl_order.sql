-- What an operator's order about requests is judged by.
-- $1 request ids (an array literal).
WITH t AS (
    SELECT
        id, state, owner, submission, attempt, sends, doubt, late, billed_open,
        provider_task_id, first_sent_ms, kind, has_cost, cost, event,
        false AS closed
      FROM task t
     WHERE id = ANY (ARRAY(
         SELECT id FROM request WHERE request_id = ANY ($1::text[])))
        AND NOT :bare
    UNION ALL
    SELECT
        id, state, owner, submission, attempt, sends, doubt, late, billed_open,
        provider_task_id, first_sent_ms, kind, has_cost, cost, event, false
      FROM (SELECT :w.queued_columns FROM waiting w) q
     WHERE id = ANY (ARRAY(
         SELECT id FROM request WHERE request_id = ANY ($1::text[])))
    UNION ALL
    SELECT
        id, coalesce((SELECT k.state FROM task k WHERE k.id = closed.id), state),
        owner, submission, attempt, sends, doubt, late, billed_open,
        provider_task_id, first_sent_ms, kind, has_cost, cost, event, true
      FROM closed
     WHERE id = ANY (ARRAY(
         SELECT id FROM request WHERE request_id = ANY ($1::text[]))))
SELECT json_strip_nulls(json_build_object(
           'request_id', r.request_id, 'id', t.id, 'state', t.state,
           'kind', t.kind, 'mode', r.mode, 'submission', t.submission, 'doubt', t.doubt,
           'late', t.late, 'billed_open', t.billed_open, 'sends', t.sends,
           'provider_task_id', t.provider_task_id,
           'first_sent_ms', t.first_sent_ms,
           'cost', CASE WHEN t.has_cost THEN t.cost END,
           'event', event_text(t.event), 'closed', t.closed,
           'faulty', r.body IS NULL,
           'unreadable', nullif(EXISTS (SELECT FROM task t
               WHERE t.id = r.id AND :readable IS NOT TRUE)
               OR EXISTS (SELECT FROM (SELECT :w.queued_columns
                       FROM waiting w WHERE w.id = r.id) t
                   WHERE :readable IS NOT TRUE), false),
           'workers', (SELECT count(*) FROM lease WHERE NOT dead)))
  FROM t JOIN request r USING (id)
UNION ALL
-- One whose history was pruned.
SELECT json_build_object('request_id', request_id, 'pruned_ms', pruned_ms)
  FROM request
 WHERE request_id = ANY ($1::text[]) AND pruned_ms IS NOT NULL;
