-- Accounts and keys that were ever there: $1 as task.account names them. Before the
-- lease of whoever brings them can claim.
INSERT INTO account (account, keys_answer, retention_ms, answered_ms)
SELECT account, 0, 0, 0 FROM unnest($1::text[]) AS a (account)
ON CONFLICT (account) DO NOTHING;
