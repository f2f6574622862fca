-- $1 provider ids: what ended, and which account has it. Of an earlier submission only
-- that is known.
SELECT c.provider_task_id, :CLOSED AS state, c.kind,
    split_part(c.account, ':', 1) AS account
FROM unnest($1::text[]) AS v(provider_task_id)
JOIN closed c ON c.provider_task_id = v.provider_task_id
    AND c.provider_task_id <> ''
UNION ALL
SELECT p.provider_task_id, :QUEUED, 0, split_part(p.account, ':', 1)
FROM unnest($1::text[]) AS v(provider_task_id)
JOIN past p ON p.provider_task_id = v.provider_task_id
    AND p.provider_task_id <> ''
WHERE NOT EXISTS (SELECT FROM closed c
    WHERE c.provider_task_id = p.provider_task_id AND c.provider_task_id <> '');
