-- $1 provider ids: how each task stands, and which account has it. As a rule it has
-- ended; only for one that has not all that is in flight is read, once. Of an earlier
-- submission only the account is known.
WITH ended AS MATERIALIZED (
    SELECT c.provider_task_id, :CLOSED AS state, c.kind,
        split_part(c.account, ':', 1) AS account
    FROM unnest($1::text[]) AS v(provider_task_id)
    JOIN closed c ON hashtextextended(c.provider_task_id, 0)
            = hashtextextended(v.provider_task_id, 0)
        AND c.provider_task_id = v.provider_task_id AND c.provider_task_id <> ''
), others AS MATERIALIZED (
    SELECT DISTINCT v.provider_task_id
    FROM unnest($1::text[]) AS v(provider_task_id)
    WHERE v.provider_task_id NOT IN (SELECT provider_task_id FROM ended)
), flying AS MATERIALIZED (
    -- Not a join: that may be one of each with each.
    SELECT t.provider_task_id, t.state, t.kind,
        split_part(t.account, ':', 1) AS account
    FROM task t
    WHERE EXISTS (SELECT FROM others) AND t.owner <> 0 AND t.provider_task_id <> ''
        AND (t.provider_task_id IN (SELECT provider_task_id FROM others)) IS TRUE
)
SELECT provider_task_id, state, kind, account FROM ended
UNION ALL
SELECT provider_task_id, state, kind, account FROM flying
UNION ALL
SELECT p.provider_task_id, :QUEUED, 0, split_part(p.account, ':', 1)
FROM others o
JOIN past p ON p.provider_task_id = o.provider_task_id AND p.provider_task_id <> ''
WHERE o.provider_task_id NOT IN (SELECT provider_task_id FROM flying);
