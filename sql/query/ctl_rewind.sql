-- The database was set back: what it has of before may have been sent since then,
-- and waits in doubt. What the topic brings again is marked as it comes
-- (intake.sql). Not while a worker is connected.
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
)
SELECT json_build_object('rewound_ms', rewound_ms,
    'marked', (SELECT count(*) FROM w))
FROM mark;
