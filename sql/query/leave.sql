-- Our own lease ends; a claim of ours that is under way is waited for.
WITH l AS MATERIALIZED (
    SELECT id FROM lease WHERE id = $1::bigint FOR UPDATE
)
UPDATE lease SET dead = true FROM l WHERE lease.id = l.id
RETURNING lease.id;
