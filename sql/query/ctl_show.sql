-- pixverse-ctl show: everything known of one request.
-- $1 request id.
WITH t AS (
    SELECT
        :t.closed_columns,
        NULL::bigint AS closed_ms
      FROM task t JOIN request USING (id)
     WHERE request_id = $1::text AND NOT :bare
    UNION ALL
    SELECT
        :q.closed_columns, NULL::bigint
      FROM (SELECT :w.queued_columns FROM waiting w) q
      JOIN request USING (id) WHERE request_id = $1::text
    UNION ALL
    -- Until it is told, its state and owner are those of the bare key.
    SELECT
        c.id, coalesce(k.state, c.state), coalesce(k.owner, c.owner),
        coalesce(k.fence, c.fence), c.version, c.submission, c.attempt, c.sends, c.doubt,
        c.late, c.billed_open, c.account, c.provider_task_id, c.received_ms,
        c.deadline_ms, c.first_sent_ms, c.last_sent_ms, c.submitted_ms,
        c.generated_ms, c.stored_ms, c.settled_ms, c.not_before_ms, c.tries,
        c.takeovers, c.takeovers_since_ms, c.kind, c.has_cost, c.cost,
        c.credits_cost, c.source_task_id, c.result, c.event,
        CASE WHEN k.id IS NULL THEN c.closed_ms END
      FROM closed c JOIN request r USING (id) LEFT JOIN task k USING (id)
     WHERE r.request_id = $1::text),
-- The hold of one task: a doubt waits for a worker with its own account and key
-- (as task.account names them); what is accepted for one with its account, and with
-- its key if the provider denies its id to others.
alien AS (
    SELECT 'account' AS reason, $1::text AS scope, last_sent_ms AS since_ms,
        NULL::bigint AS next_try_ms,
        'it was sent by account ' || split_part(account, ':', 1)
            || ', under another key or base URL than any live worker has'
            || CASE WHEN state = :SUBMITTING THEN ''
                ELSE ': the provider may deny them its id' END AS message
      FROM t
     WHERE t.closed_ms IS NULL AND t.account <> ''
       AND ((t.state = :SUBMITTING AND t.doubt)
           OR t.state IN (:RUNNING, :READY, :LATE))
       AND EXISTS (SELECT FROM lease WHERE NOT dead)
       AND NOT EXISTS (
           SELECT FROM lease l
            WHERE NOT l.dead AND t.account = ANY (l.accounts))),
-- And of one that was asked for before the database was set back (claim.sql).
set_back AS (
    SELECT 'operator' AS reason, $1::text AS scope, m.rewound_ms AS since_ms,
        NULL::bigint AS next_try_ms,
        'it was asked for before the database was set back and may have been '
            || 'bought: no live worker may send it, since its key is too old, '
            || 'keys are not known to be honoured, or another account or key '
            || 'may have bought it; pixverse-ctl attach, cancel '
            || 'or retry --pay-again decide' AS message
      FROM t, meta m
     WHERE t.closed_ms IS NULL AND t.state = :QUEUED AND t.doubt
       AND NOT EXISTS (
           SELECT FROM lease l JOIN account a ON a.account = ANY (l.accounts)
            WHERE NOT l.dead AND a.keys_answer = 1
              AND (SELECT count(*) FROM account) = 1
              AND a.since_ms <= m.rewound_ms
              AND t.first_sent_ms + a.retention_ms / 6 * 5 >
                  extract(epoch FROM clock_timestamp()) * 1000)),
-- And of one that was put aside for want of a budget.
broke AS (
    (SELECT 'budget' AS reason, w.budget AS scope, w.received_ms AS since_ms,
        b.next_ms AS next_try_ms, b.message
      FROM t JOIN waiting w ON w.id = t.id
      JOIN budget_words b ON b.tenant IN (w.budget, '*')
     WHERE w.budget IS NOT NULL
     ORDER BY b.tenant = '*'
     LIMIT 1)),
-- In a queue of that account alone.
pinned AS (
    SELECT 'account' AS reason, w.pinned AS scope, coalesce(
            p.since_ms, w.received_ms) AS since_ms,
        NULL::bigint AS next_try_ms, p.message
      FROM t JOIN waiting w ON w.id = t.id
      JOIN pinned_held p ON p.account = w.pinned
     WHERE w.source IS NULL AND w.budget IS NULL),
-- An account's hold stops a replay to that account; and what is to be sent first, only
-- while no other account may have it. What is pinned to one has its own words, above.
holding AS (
    SELECT reason, scope, since_ms, next_try_ms, message FROM standing_hold
     WHERE reason NOT IN ('auth', 'balance', 'channel')
        OR CASE WHEN EXISTS (SELECT FROM t WHERE t.state = :SUBMITTING)
           THEN EXISTS (SELECT FROM t WHERE split_part(t.account, ':', 1)
                   = split_part(scope, ':', 1))
           ELSE NOT EXISTS (SELECT FROM buyer WHERE NOT held)
               AND NOT EXISTS (SELECT FROM t JOIN waiting w ON w.id = t.id
                                WHERE w.pinned IS NOT NULL) END
    UNION ALL SELECT * FROM alien
    UNION ALL SELECT * FROM set_back
    UNION ALL SELECT * FROM broke
    UNION ALL SELECT * FROM pinned)
-- A row, as a call takes a hundred arguments at most.
SELECT json_strip_nulls(row_to_json(shown)) FROM (
    SELECT
           r.request_id,
           r.tenant,
           t.state,
           t.kind,
           r.mode,
           r.priority,
           nullif(t.submission, 0) AS submission,
           nullif(t.attempt, 0) AS attempt,
           t.sends,
           -- Attempts for which the provider had no room, this submission's.
           (SELECT json_agg(json_build_object(
                           'attempt', p.attempt, 'account', p.account,
                           'provider_task_id', p.provider_task_id,
                           'submitted_ms', p.submitted_ms,
                           'settled_ms', p.settled_ms, 'cost', p.cost)
                           ORDER BY p.attempt)
                         FROM past p
                        WHERE p.id = t.id AND p.submission = t.submission
                          AND p.event IS NULL) AS earlier,
           nullif(t.doubt, false) AS doubt,
           nullif(t.late, false) AS late,
           nullif(t.tries, 0) AS tries,
           nullif(t.takeovers, 0) AS takeovers,
           nullif(t.provider_task_id, '') AS provider_task_id,
           coalesce(nullif(split_part(t.account, ':', 1), ''), w.pinned) AS account,
           w.pinned,
           nullif(split_part(t.account, ':', 3), '') AS account_key,
           CASE WHEN t.has_cost THEN t.cost END AS cost,
           CASE WHEN t.has_cost THEN t.credits_cost END AS credits_cost,
           r.received_ms,
           nullif(t.first_sent_ms, 0) AS first_sent_ms,
           nullif(t.last_sent_ms, 0) AS last_sent_ms,
           nullif(t.submitted_ms, 0) AS submitted_ms,
           nullif(t.generated_ms, 0) AS generated_ms,
           nullif(t.stored_ms, 0) AS stored_ms,
           nullif(t.settled_ms, 0) AS settled_ms,
           t.closed_ms,
           nullif(t.deadline_ms, 0) AS deadline_ms,
           CASE WHEN w.source IS NULL
                                 THEN nullif(t.not_before_ms, 0) END AS not_before_ms,
           w.source AS waits_for,
           CASE WHEN w.source IS NOT NULL
                                  THEN w.not_before_ms END AS waits_since_ms,
           -- Of another tenant's nobody learns that it exists.
           CASE WHEN w.source IS NOT NULL THEN
               (SELECT coalesce(k.state, c.state, :QUEUED)
                  FROM request s
                  LEFT JOIN task k ON k.id = s.id
                  LEFT JOIN closed c ON c.id = s.id
                 WHERE s.request_id = w.source AND s.tenant = r.tenant) END AS source_state,
           t.source_task_id,
           r.body,
           r.metadata,
           r.warnings,
           event_text(t.event) AS event,
           nullif(greatest(t.owner, 0), 0) AS owner,
           r.id AS task,
           nullif(t.billed_open, false) AS billed_open,
           CASE WHEN NOT l.dead THEN nullif(l.admin, '') END AS admin,
           (SELECT json_build_object(
                          'word', q.word, 'since_ms', q.since_ms,
                          'tries', q.tries, 'answer', q.answer,
                          'next_ms', q.next_ms)
                        FROM reason q
                       WHERE q.task = t.id AND q.fence = t.fence
                         AND q.state = t.state AND t.closed_ms IS NULL) AS reason,
           (SELECT json_agg(json_build_object(
                          'word', s.word, 'since_ms', s.since_ms,
                          'tries', s.tries, 'answer', s.answer,
                          'next_ms', nullif(s.next_ms, 0),
                          'worker', o.name)
                          ORDER BY s.since_ms)
                        FROM shared_reason s
                        JOIN lease o ON o.id = s.owner AND NOT o.dead
                       WHERE t.closed_ms IS NULL
                         AND (t.state = :QUEUED OR s.owner = t.owner)) AS shared,
           l.name AS worker,
           CASE WHEN t.owner > 0 AND t.closed_ms IS NULL
                               THEN coalesce(l.dead, true) END AS worker_dead,
           nullif(EXISTS (SELECT FROM task t
               WHERE t.id = r.id AND :readable IS NOT TRUE)
               OR EXISTS (SELECT FROM (SELECT :w.queued_columns
                       FROM waiting w WHERE w.id = r.id) t
                   WHERE :readable IS NOT TRUE), false) AS unreadable,
           w.id IS NOT NULL AS waiting,
           CASE WHEN w.id IS NOT NULL AND w.source IS NULL THEN
               (SELECT count(*) FROM waiting o
                 WHERE o.source IS NULL AND o.budget IS NULL
                   AND (o.pinned IS NULL OR o.pinned = w.pinned)
                   AND (o.priority > w.priority
                    OR (o.priority = w.priority AND o.id < w.id))) END AS ahead,
           (SELECT count(*) FROM lease WHERE NOT dead) AS workers,
           (SELECT json_agg(json_build_object(
                         'reason', reason, 'scope', scope, 'since_ms', since_ms,
                         'next_try_ms', next_try_ms, 'message', message)
                         ORDER BY since_ms) FROM holding) AS holds,
           (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
  FROM t
  JOIN request r USING (id)
  LEFT JOIN waiting w ON w.id = t.id
  LEFT JOIN lease l ON l.id = t.owner) AS shown
UNION ALL
-- One whose history was pruned.
SELECT json_build_object('request_id', request_id, 'received_ms', received_ms,
           'pruned_ms', pruned_ms)
  FROM request
 WHERE request_id = $1::text AND pruned_ms IS NOT NULL;
