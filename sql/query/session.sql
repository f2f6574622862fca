-- A new connection: its limits, plans that can't flip to a scan of the whole
-- table on a fresh database, and the end of the backend that served us before:
-- what it was doing is committed or gone before anything is read again.
-- $1 milliseconds of half a lease, $2 of a statement, $3 pid and $4 start of
-- the backend before, or empty.
SELECT
    set_config('idle_in_transaction_session_timeout', $1::text, false),
    set_config('statement_timeout', $2::text, false),
    set_config('enable_seqscan', 'off', false),
    set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false),
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('jit', 'off', false),
    pg_backend_pid() AS pid,
    (SELECT backend_start::text FROM pg_stat_activity
        WHERE pid = pg_backend_pid()) AS started,
    current_setting('transaction_read_only') = 'on' AS read_only,
    current_setting('server_version_num')::integer AS server_version,
    coalesce((SELECT bool_and(pg_terminate_backend(pid, 3000))
        FROM pg_stat_activity
        WHERE pid::text = $3::text AND backend_start::text = $4::text), true)
        AS alone;
