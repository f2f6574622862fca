-- What is known of the accounts of a lease, $1.
SELECT l.account, coalesce(a.keys_answer, 0) AS keys_answer,
    coalesce(a.retention_ms, 0) AS retention_ms, coalesce(u.url, '') AS url
FROM (SELECT unnest(accounts) AS account FROM lease WHERE id = $1::bigint) l
LEFT JOIN account a USING (account)
LEFT JOIN account_url u ON u.name = split_part(l.account, ':', 1);
