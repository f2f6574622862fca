-- pixverse-ctl doctor: PostgreSQL itself: a finding a row, how many and which.
WITH ours (name) AS :ctl_ours, found (finding, n, detail) AS (
    SELECT 'setting', 1, name || ' is ' || setting
      FROM pg_settings
     WHERE (name IN ('synchronous_commit', 'fsync', 'full_page_writes')
            AND setting = 'off')
    UNION ALL
    SELECT 'autovacuum', 1, name || ' is off'
      FROM pg_settings
     WHERE name IN ('autovacuum', 'track_counts') AND setting = 'off'
    UNION ALL
    SELECT 'autovacuum', 1, 'autovacuum is off for ' || c.relname
      FROM pg_class c JOIN ours o ON c.oid = to_regclass(o.name)
     WHERE c.reloptions::text LIKE '%autovacuum_enabled=false%'
    UNION ALL
    SELECT 'bloat', s.n_dead_tup, s.relname || ': '
            || pg_size_pretty(pg_total_relation_size(s.relid)) || ', '
            || s.n_live_tup || ' rows, ' || s.n_dead_tup || ' dead, vacuumed '
            || coalesce(to_char(greatest(s.last_vacuum, s.last_autovacuum)
                AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'never')
      FROM pg_stat_user_tables s JOIN ours o ON s.relid = to_regclass(o.name)
     WHERE (s.n_dead_tup > 100000 AND s.n_dead_tup > s.n_live_tup)
        OR (s.relname IN ('waiting', 'task', 'lease', 'vitals', 'reason', 'hold',
                'shared_reason', 'accepted', 'cancel')
            AND pg_relation_size(s.relid) > 134217728
            AND pg_relation_size(s.relid) / greatest(s.n_live_tup, 1) > 16384)
    UNION ALL
    SELECT 'snapshot', h.age, h.who || ', ' || h.age || ' transactions ago'
      FROM (
        SELECT age(backend_xmin)::bigint AS age, 'session '
                || coalesce(nullif(application_name, ''), backend_type)
                || ' (pid ' || pid || ', ' || coalesce(state, 'busy')
                || ')' AS who
          FROM pg_stat_activity
         WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
           AND backend_type IS DISTINCT FROM 'autovacuum worker'
        UNION ALL
        SELECT age(backend_xmin), 'standby ' || application_name
          FROM pg_stat_replication WHERE backend_xmin IS NOT NULL
        UNION ALL
        SELECT age(xmin), 'replication slot ' || slot_name
          FROM pg_replication_slots WHERE xmin IS NOT NULL
        UNION ALL
        SELECT age(transaction), 'prepared transaction ' || gid
          FROM pg_prepared_xacts
      ) h
     WHERE h.age > 1000000
    UNION ALL
    SELECT 'transaction', 1, 'session '
            || coalesce(nullif(application_name, ''), backend_type) || ' (pid '
            || pid || ', ' || state || ') since '
            || to_char(xact_start AT TIME ZONE 'UTC',
                'YYYY-MM-DD"T"HH24:MI:SS"Z"')
      FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
       AND xact_start < clock_timestamp() - INTERVAL '1 hour'
       AND backend_type = 'client backend'
    UNION ALL
    SELECT 'wraparound', age(datfrozenxid)::bigint,
            age(datfrozenxid) || ' transactions'
      FROM pg_database
     WHERE datname = current_database() AND age(datfrozenxid) > 1000000000
    UNION ALL
    SELECT 'connections', n, n || ' of ' || most
      FROM (SELECT count(*) AS n, current_setting('max_connections')::bigint
                - current_setting('superuser_reserved_connections')::bigint
                AS most
              FROM pg_stat_activity WHERE backend_type = 'client backend') c
     WHERE n > most / 10 * 9
    UNION ALL
    SELECT 'sequence', 1, s.sequence || ' is at ' || s.last || ', and ' || s.most
            || ' is taken'
      FROM (
        SELECT sequence, most,
            -- Without a right to it, it is a finding of rights.
            CASE WHEN has_sequence_privilege(sequence, 'USAGE')
                    OR has_sequence_privilege(sequence, 'SELECT')
                THEN coalesce(pg_sequence_last_value(sequence::regclass), 0)
                END AS last
          FROM (VALUES
            (pg_get_serial_sequence('request', 'id'), greatest(
                (SELECT max(id) FROM request), (SELECT max(id) FROM task),
                (SELECT max(id) FROM waiting), (SELECT max(id) FROM closed))),
            (pg_get_serial_sequence('lease', 'id'), greatest(
                (SELECT max(id) FROM lease),
                (SELECT max(owner) FROM task WHERE owner > 0)))
          ) v (sequence, most)
      ) s WHERE s.most > s.last
)
SELECT json_build_object('finding', finding, 'n', count(*),
           'of', (array_agg(detail ORDER BY n DESC))[1:5])
  FROM found GROUP BY finding ORDER BY finding;
