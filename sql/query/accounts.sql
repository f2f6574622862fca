-- What is known of the accounts of a lease, $1.
SELECT l.account, coalesce(a.keys_answer, 0) AS keys_answer,
    coalesce(a.retention_ms, 0) AS retention_ms, coalesce(u.url, '') AS url,
    coalesce(u.slots_learnt, 0) AS slots_learnt,
    coalesce(u.refused_ms, 0) AS refused_ms, coalesce(u.learnt_ms, 0) AS learnt_ms
FROM (SELECT unnest(accounts) AS account FROM lease WHERE id = $1::bigint) l
LEFT JOIN account a USING (account)
LEFT JOIN account_url u ON u.name = split_part(l.account, ':', 1);
