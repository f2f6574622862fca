-- Before orders to cancel are kept for requests that are not there: waits for the
-- batches of requests that are on their way in, and holds others up until this
-- transaction ends. So each request either finds the order that was kept, or is
-- found by it.
SELECT pg_advisory_xact_lock(7264930523);
