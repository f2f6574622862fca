-- The lock of one lane of a worker, for as long as the session lasts. $1 lock.
SELECT pg_try_advisory_lock(726493, ($1::bigint % 2147483647 + 1)::integer);
