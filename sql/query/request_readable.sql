-- Not a statement: what ":request_readable" stands for there: the request r of a task
-- t has an id that fits, and a body for as long as it may be sent.
(octet_length(r.request_id) BETWEEN 1 AND :REQUEST_ID_BYTES - 1
    AND (t.state > :SUBMITTING OR r.body IS NOT NULL))
