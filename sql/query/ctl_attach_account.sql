-- What waits was sent by this account, under its newest key: it has an id there
-- (learn_waiting.sql). $1 task, $2 submission, $3 account's name.
WITH newest AS (
    SELECT account FROM account
     WHERE split_part(account, ':', 1) = $3::text
     ORDER BY since_ms DESC, account LIMIT 1
), waits AS (
    UPDATE waiting w SET account = newest.account FROM newest
     WHERE w.id = $1::bigint AND w.submission = $2::integer
    RETURNING w.id
), lies AS (
    UPDATE task t SET account = newest.account FROM newest
     WHERE t.id = $1::bigint AND t.submission = $2::integer AND t.state = :QUEUED
    RETURNING t.id
)
SELECT id FROM waits UNION ALL SELECT id FROM lies;
