-- Not a statement: what ":ctl_fits" stands for in ctl_found: what is asked of each
-- of the four places. Of a t, which is a task wherever it is, and its request r.
(($5::text IS NULL OR r.tenant = $5::text)
    AND ($6::text IS NULL OR split_part(t.account, ':', 1) = $6::text)
    AND t.received_ms >= $7::bigint AND t.received_ms < $8::bigint
    AND t.id < $9::bigint)
