-- What this database's idempotency keys are made with.
SELECT encode(salt, 'hex') AS salt FROM meta;
