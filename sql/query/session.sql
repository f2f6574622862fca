-- A new connection: its limits, and plans that can't flip to a scan of the whole
-- table on a fresh database. The lock that every session of this program holds
-- marks it as ours (end_frozen.sql).
-- $1 milliseconds of half a lease, $2 of a statement.
SELECT
    set_config('idle_in_transaction_session_timeout', $1::text, false),
    set_config('statement_timeout', $2::text, false),
    set_config('enable_seqscan', 'off', false),
    set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false),
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('jit', 'off', false),
    pg_advisory_lock_shared(726493, 0),
    current_setting('transaction_read_only') = 'on' AS read_only,
    current_setting('server_version_num')::integer AS server_version,
    current_setting('server_encoding') AS encoding;
