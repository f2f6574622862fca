-- Why submissions stop; and whether requests wait that may have been bought before
-- the database was set back, and whose key protects them no longer (claim.sql); and
-- who waits for room in a budget; and for an account that no live worker has.
-- What stops most comes first, since a worker reads so many and no more
-- (HOLDS_READ_MAX): whatever the others are, a pause is seen, and what is ours is
-- probed. $1 our lease, $2 one in doubt has to be first sent after that.
SELECT reason, scope, since_ms, next_try_ms, message FROM (
SELECT reason, scope, since_ms, next_try_ms, message FROM hold
UNION ALL
SELECT 'operator', 'rewound', m.rewound_ms, 0,
    'the database was set back: requests from before may have been bought, and '
        || CASE WHEN k.known THEN 'the provider may have forgotten their keys'
           WHEN (SELECT count(*) FROM account) > 1
           THEN 'by which account, or under which key, is not known'
           ELSE 'keys are not known to be honoured' END
        || ': they are not sent (pixverse-ctl list --state queued, explain)'
FROM meta m, (
    SELECT $2::bigint < 9223372036854775807 AND EXISTS (
        SELECT FROM lease l JOIN account a ON a.account = ANY (l.accounts), meta
        WHERE l.id = $1::bigint AND a.since_ms <= meta.rewound_ms
            AND (SELECT count(*) FROM account) = 1) AS known
) k
-- By the oldest alone: after a rewind all that waits may be in doubt, and this is
-- asked in each beat.
WHERE m.rewound_ms > 0 AND (
    SELECT NOT k.known OR w.first_sent_ms <= $2::bigint
    FROM waiting w WHERE w.doubt
    ORDER BY w.first_sent_ms LIMIT 1)
UNION ALL
(SELECT 'account', p.account, first.since_ms, 0,
    'requests that extend its tasks wait for it: no live worker has account '
        || p.account
FROM pinned_held p, LATERAL (
    SELECT w.received_ms AS since_ms FROM waiting w
    WHERE w.pinned = p.account AND w.source IS NULL AND w.budget IS NULL
    ORDER BY w.priority, w.id LIMIT 1
) first
WHERE p.reason IS NULL
LIMIT 20)
UNION ALL
(SELECT 'budget', b.tenant, first.since_ms, b.next_ms, b.message
FROM budget_words b, LATERAL (
    SELECT w.received_ms AS since_ms FROM waiting w
    WHERE w.budget = b.tenant
    ORDER BY w.priority DESC, w.id LIMIT 1
) first
LIMIT 20)
UNION ALL
(SELECT 'budget', '*', w.received_ms, b.next_ms, b.message
FROM budget_words b, (
    SELECT budget, received_ms FROM waiting WHERE budget IS NOT NULL LIMIT 1000
) w
WHERE b.tenant = '*'
    AND NOT EXISTS (SELECT FROM budget o WHERE o.tenant = w.budget)
LIMIT 1)
) h
ORDER BY CASE
    WHEN reason = 'operator' AND scope = '*' THEN 0
    WHEN reason = 'storage' THEN 1
    WHEN scope = ANY ((SELECT accounts FROM lease WHERE id = $1::bigint)::text[])
    THEN 2
    WHEN reason = 'operator' AND scope = 'rewound' THEN 3
    WHEN reason NOT IN ('account', 'budget') THEN 4
    ELSE 5 END, since_ms, reason, scope;
