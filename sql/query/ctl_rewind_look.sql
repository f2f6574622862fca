-- What setting the database back would mark, and who is in the way.
SELECT json_build_object(
    'waiting', (SELECT count(*) FROM waiting WHERE NOT doubt),
    'sessions', (SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND classid = 726493
            AND objid = 0 AND objsubid = 2
            AND database = (SELECT oid FROM pg_database
                WHERE datname = current_database())),
    'received_ms', (SELECT max(received_ms) FROM request
        WHERE id > (SELECT max(id) FROM request) - 1000),
    'rewound_ms', (SELECT rewound_ms FROM meta),
    'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
