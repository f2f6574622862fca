-- Another's lease is dead, and no claim of it is under way: the lock would wait
-- for that one's end.
WITH l AS MATERIALIZED (
    SELECT id FROM lease WHERE id = $1::bigint FOR UPDATE
)
UPDATE lease SET dead = true FROM l WHERE lease.id = l.id
RETURNING lease.id;
