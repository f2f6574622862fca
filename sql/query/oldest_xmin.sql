-- How many transactions ago the oldest snapshot was taken that keeps dead rows
-- from being removed: of sessions, standbys, replication slots and prepared
-- transactions. A vacuum holds nobody up.
SELECT coalesce(max(age(xmin)), 0)::bigint AS oldest FROM (
    SELECT backend_xmin FROM pg_stat_activity
        WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
            AND backend_type IS DISTINCT FROM 'autovacuum worker'
    UNION ALL SELECT backend_xmin FROM pg_stat_replication
        WHERE backend_xmin IS NOT NULL
    UNION ALL SELECT xmin FROM pg_replication_slots WHERE xmin IS NOT NULL
    UNION ALL SELECT transaction FROM pg_prepared_xacts
) AS held (xmin);
