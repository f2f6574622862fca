-- request_lock, of those that an order by filter is about to change, in the order of
-- their numbers. $1 tasks (an array literal).
SELECT id FROM request WHERE id = ANY ($1::bigint[]) ORDER BY id
   FOR NO KEY UPDATE;
