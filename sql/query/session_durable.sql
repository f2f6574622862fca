-- A record of its own in the WAL, committed: once that has come back, all that
-- stood before it is on the synchronous standby, too. A server that went down
-- and up again shows what it had committed, whether the standby has it or not;
-- whoever sent on the word of such a row would send again after a failover.
SELECT pg_logical_emit_message(true, 'pixverse', '') IS NOT NULL AS durable;
