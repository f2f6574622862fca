-- Not a statement: what ":budget_fits" stands for in others: of the rows in priced (id,
-- priority, tenant, price: a WITH of the statement, as today is), those for which there
-- is room in their tenant's budget and in that of all, in the order of claims: nobody is
-- passed by because it costs more. None for who has not taken budget_lock.sql.
(
    WITH room AS MATERIALIZED (
        SELECT u.tenant, min(CASE WHEN u.counted THEN u.amount - u.used ELSE -1 END)
            AS room
        FROM :budget_used u
        WHERE EXISTS (SELECT FROM priced)
            AND (u.tenant = '*' OR u.tenant IN (SELECT tenant FROM priced))
        GROUP BY u.tenant
    )
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
        AND current_setting('pixverse.budget', true) = 'true'
)
