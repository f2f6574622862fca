-- Before requests come in: until this transaction ends, none of theirs is kept for
-- as cancelled that it would not see (early_lock.sql). Costs a word of memory.
SELECT pg_advisory_xact_lock_shared(7264930523);
