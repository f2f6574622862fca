-- Ends the sessions of this program that stopped in the middle of a unit: their
-- worker is frozen or gone, and what they have locked would hold everybody up.
-- idle_in_transaction_session_timeout does not see them: to PostgreSQL a
-- pipeline without its end is an active session that waits for its client, and
-- so is one whose client does not read a long answer.
-- $1 milliseconds for which one has stood still.
SELECT count(pg_terminate_backend(pid)) AS ended
FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user
    AND pid <> pg_backend_pid()
    AND application_name = current_setting('application_name')
    AND state = 'active' AND wait_event IN ('ClientRead', 'ClientWrite')
    AND query_start
        < clock_timestamp() - $1::bigint * interval '1 millisecond';
