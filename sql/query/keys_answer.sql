-- An account that was caught breaking its word (3) stays caught: whoever has
-- cleared it up deletes the row.
INSERT INTO account (account, keys_answer, retention_ms, answered_ms)
VALUES ($1::text, $2::integer, $3::bigint,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
ON CONFLICT (account) DO UPDATE SET
    keys_answer = excluded.keys_answer, retention_ms = excluded.retention_ms,
    answered_ms = excluded.answered_ms
WHERE account.keys_answer <> 3
RETURNING account;
