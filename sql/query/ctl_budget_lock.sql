-- Nobody claims of budgets, or settles what is settled, until this transaction ends.
SELECT json_build_object('locked', true)
  FROM (SELECT pg_advisory_xact_lock(7264930520)) l;
