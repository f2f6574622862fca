-- What a bump learns besides: the counts, the clock, the account's answer.
SELECT f.queued, f.in_flight,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms,
    current_setting('synchronous_commit') <> 'off' AS synchronous,
    coalesce(a.keys_answer, 0) AS keys_answer,
    coalesce(a.retention_ms, 0) AS retention_ms,
    f.blocked
FROM fleet f
LEFT JOIN lease l ON l.id = $1::bigint
LEFT JOIN account a ON a.account = l.account;
