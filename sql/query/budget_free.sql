-- What was put aside for want of a budget waits for a claim again: of each tenant so
-- many as there is room for, in the order of claims; all of one that has no budget any
-- more. A claim looks again. Behind budget_lock.sql.
WITH RECURSIVE today AS MATERIALIZED (
    SELECT floor(extract(epoch FROM clock_timestamp()) / 86400)::integer AS day
), who AS (
    (SELECT budget FROM waiting WHERE budget IS NOT NULL
        ORDER BY budget LIMIT 1)
    UNION ALL
    SELECT (SELECT w.budget FROM waiting w WHERE w.budget > who.budget
        ORDER BY w.budget LIMIT 1)
    FROM who WHERE who.budget IS NOT NULL
), priced AS MATERIALIZED (
    SELECT w.id, w.priority, who.budget AS tenant,
        w.price
    FROM who, LATERAL (
        SELECT w.id, w.priority, :budget_price AS price
        FROM waiting w JOIN request r ON r.id = w.id
        WHERE w.budget = who.budget
        ORDER BY w.priority DESC, w.id
        -- Meanwhile nobody claims of a budget: the next look goes on.
        LIMIT (SELECT greatest(20, 5000 / greatest(1, count(budget))) FROM who)
    ) w
    WHERE current_setting('pixverse.budget', true) = 'true'
), fits AS MATERIALIZED :budget_fits
, locked AS MATERIALIZED (
    SELECT w.id FROM fits JOIN waiting w ON w.id = fits.id
    FOR UPDATE OF w SKIP LOCKED
)
UPDATE waiting w SET budget = NULL FROM locked l WHERE w.id = l.id;
