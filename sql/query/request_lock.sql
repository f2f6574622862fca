-- Who moves a row back from its end, by an order or because an id came, locks its
-- request first, one at a time, and then reads anew: a statement whose snapshot is
-- older may find a row that moves in none of the tables. $1 task.
SELECT id FROM request WHERE id = $1::bigint FOR NO KEY UPDATE;
