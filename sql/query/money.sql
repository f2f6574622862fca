-- Money moves with the rows: in the transaction that stored these, behind the
-- statements that did. Only tenants with a budget have any. $1 tasks.
UPDATE money m SET state = n.state,
    amount = CASE n.state WHEN 0 THEN 0
        WHEN 3 THEN coalesce(n.cost, m.estimate) ELSE m.estimate END
FROM (
    SELECT t.id, t.submission, :spending AS state, :money_cost AS cost
    FROM task t WHERE t.id = ANY ($1::bigint[]) AND NOT :bare
    UNION ALL
    SELECT t.id, t.submission, :spending AS state, :money_cost AS cost
    FROM closed t WHERE t.id = ANY ($1::bigint[])
    UNION ALL
    SELECT w.id, w.submission, 2 * w.doubt::integer, NULL
    FROM waiting w WHERE w.id = ANY ($1::bigint[])
) n
WHERE m.task = n.id AND m.submission = n.submission;
