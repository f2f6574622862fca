-- One claim at a time counts generations; ends with the transaction.
SELECT pg_advisory_xact_lock(7304920011)
