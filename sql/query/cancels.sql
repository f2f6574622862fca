-- What an operator ordered to cancel and is ours. $1 owner. Few orders are looked up by
-- their ids; where they are many, our rows are. Not as a join: that would read all that
-- is ours for no order at all, where nothing is known of the tables yet.
WITH few AS MATERIALIZED (
    SELECT task FROM cancel ORDER BY task LIMIT 1000)
SELECT o.task
FROM few o CROSS JOIN LATERAL (
    SELECT owner FROM task WHERE id = o.task OFFSET 0) t
WHERE t.owner = $1::bigint AND (SELECT count(*) FROM few) < 1000
UNION ALL
SELECT t.id
FROM task t
WHERE t.owner = $1::bigint AND t.owner <> 0 AND (SELECT count(*) FROM few) = 1000
    AND coalesce((SELECT true FROM cancel o WHERE o.task = t.id), false);
