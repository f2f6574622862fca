-- What making a copy of this database would take away, and who is in the way.
SELECT current_database() AS database,
    (SELECT count(*) FROM (
        SELECT id FROM task UNION SELECT id FROM waiting) o) AS open,
    (SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND classid = 726493
            AND objid = 0 AND objsubid = 2
            AND database = (SELECT oid FROM pg_database
                WHERE datname = current_database())) AS sessions;
