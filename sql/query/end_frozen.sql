-- Ends the sessions of this program that stopped in the middle of a unit: their
-- worker is frozen or gone, and what they have locked would hold everybody up.
-- idle_in_transaction_session_timeout does not see them: to PostgreSQL a
-- pipeline without its end is an active session that waits for its client, and
-- so is one whose client does not read a long answer. Ours are those that hold
-- our lock (session.sql): a name alone may be that of another program.
-- $1 milliseconds for which one has stood still.
SELECT count(pg_terminate_backend(a.pid)) AS ended
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted
    AND l.database = (
        SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = 726493 AND l.objid = 0 AND l.objsubid = 2
    AND a.usename = current_user
    AND a.application_name = current_setting('application_name')
    AND a.pid <> pg_backend_pid()
    AND a.state = 'active' AND a.wait_event IN ('ClientRead', 'ClientWrite')
    AND a.query_start
        < clock_timestamp() - $1::bigint * interval '1 millisecond';
