-- One claim at a time counts the generations of the fleet; to commit.
SELECT pg_advisory_xact_lock(7264930517);
