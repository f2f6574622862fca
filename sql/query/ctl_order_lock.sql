-- One attach at a time, until the connection ends.
SELECT pg_advisory_lock(7264930521);
