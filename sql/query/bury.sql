-- Another's lease is dead: its counter still stands where it was seen to stand
-- still, and no claim of it is under way: the lock would wait for that one's end.
-- A row whose bump this waited for is looked at again. $1 lease, $2 counter.
WITH l AS MATERIALIZED (
    SELECT id FROM lease
    WHERE id = $1::bigint AND counter = $2::bigint AND NOT dead
    FOR UPDATE
)
UPDATE lease SET dead = true FROM l WHERE lease.id = l.id
RETURNING lease.id;
