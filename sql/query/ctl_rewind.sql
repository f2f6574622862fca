-- The database was set back: what it has of before may have been sent since then,
-- and waits in doubt. What the topic brings again is marked as it comes
-- (intake.sql). A send whose id it doesn't have may have been refused since, and
-- another account's may have bought it: where there was ever more than one, it
-- waits, too. Not while a worker is connected.
WITH mark AS (
    UPDATE meta SET rewound_ms =
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    WHERE NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND classid = 726493
            AND objid = 0 AND objsubid = 2
            AND database = (SELECT oid FROM pg_database
                WHERE datname = current_database()))
    RETURNING rewound_ms
), w AS (
    UPDATE waiting w SET doubt = true, first_sent_ms = w.received_ms
    FROM mark
    WHERE NOT w.doubt
    RETURNING w.id
), t AS (
    UPDATE task t SET doubt = true, first_sent_ms = t.received_ms
    FROM mark
    WHERE t.state = :QUEUED AND NOT t.doubt
), sent AS (
    DELETE FROM task t USING mark
    WHERE t.state = :SUBMITTING AND t.provider_task_id = ''
        AND (SELECT count(*) FROM account) > 1
    RETURNING t.*
), back AS (
    INSERT INTO waiting (
        priority, source, pinned, tenant, :waiting_columns)
    SELECT
        coalesce(r.priority, 0),
        CASE WHEN s.source_task_id IS NULL THEN r.source END,
        CASE WHEN s.source_task_id IS NULL THEN r.account
            ELSE nullif(split_part(s.account, ':', 1), '') END,
        CASE WHEN (SELECT sharing.on FROM sharing)
            THEN coalesce(r.tenant, '') END,
        s.id, s.fence + 1, s.version + 1, s.submission, s.attempt, true, s.account,
        s.received_ms, coalesce(s.deadline_ms, 0), least(s.first_sent_ms, s.received_ms),
        s.last_sent_ms, 0, s.tries, 0, s.source_task_id
    FROM sent s LEFT JOIN request r ON r.id = s.id
    RETURNING id
)
SELECT json_build_object('rewound_ms', rewound_ms,
    'marked', (SELECT count(*) FROM w) + (SELECT count(*) FROM back))
FROM mark;
