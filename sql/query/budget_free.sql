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
), room AS MATERIALIZED (
    SELECT u.tenant, min(u.amount - u.used) AS room
    FROM :budget_used u
    GROUP BY u.tenant
), priced AS MATERIALIZED (
    SELECT w.id, w.priority, who.budget AS tenant,
        coalesce(w.price, (SELECT max(guess) FROM budget), 0) AS price
    FROM who, LATERAL (
        SELECT w.id, w.priority, r.price
        FROM waiting w JOIN request r ON r.id = w.id
        WHERE w.budget = who.budget
        ORDER BY w.priority DESC, w.id
        -- Meanwhile nobody claims of a budget: the next look goes on.
        LIMIT (SELECT greatest(20, 5000 / greatest(1, count(budget))) FROM who)
    ) w
    WHERE coalesce((SELECT room FROM room WHERE tenant = who.budget), 0) >= 0
        AND current_setting('pixverse.budget', true) = 'true'
), fits AS MATERIALIZED (
    SELECT id FROM (
        SELECT p.id, sum(p.price) OVER (ORDER BY p.priority DESC, p.id) AS total
        FROM (
            SELECT *, sum(price) OVER (PARTITION BY tenant
                ORDER BY priority DESC, id) AS own
            FROM priced
        ) p
        WHERE p.own <= coalesce(
            (SELECT room FROM room WHERE room.tenant = p.tenant), p.own)
    ) p
    WHERE p.total <= coalesce(
            (SELECT room FROM room WHERE room.tenant = '*'), p.total)
), locked AS MATERIALIZED (
    SELECT w.id FROM fits JOIN waiting w ON w.id = fits.id
    FOR UPDATE OF w SKIP LOCKED
)
UPDATE waiting w SET budget = NULL FROM locked l WHERE w.id = l.id;
