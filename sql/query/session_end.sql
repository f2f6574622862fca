-- The end of the session that served us before: what it was doing is committed
-- or gone before anything is read again. Behind a pooler its backend may be
-- another program's by now, so it is known by our lock alone; and a pooler that
-- forgets to take locks back shows by the name. One whose commit waits for a
-- synchronous standby is left: to end its wait would show what the standby may
-- lack. $1 the lock.
SELECT count(pg_terminate_backend(a.pid, 2000)) AS ended
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted
    AND l.database = (
        SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = 726493 AND l.objsubid = 2
    AND l.objid = ($1::bigint % 2147483647 + 1)::oid
    AND a.usename = current_user
    AND a.application_name = current_setting('application_name')
    AND a.wait_event IS DISTINCT FROM 'SyncRep'
    AND a.pid <> pg_backend_pid();
