-- What the fleet shares, besides leases and holds.
SELECT f.queued, f.in_flight,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
       current_setting('synchronous_commit'),
       coalesce(a.keys_answer, 0), coalesce(a.retention_ms, 0)
FROM fleet f
LEFT JOIN account a ON a.account = (SELECT account FROM lease WHERE id = $1::bigint)
