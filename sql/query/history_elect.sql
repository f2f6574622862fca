-- Who counts and prunes: one session, for as long as it lasts.
SELECT pg_try_advisory_lock(726494, 0);
