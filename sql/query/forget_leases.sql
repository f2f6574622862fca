-- Dead leases that own nothing any more that this program could take over.
DELETE FROM lease l
WHERE l.dead AND l.id <> $1::bigint
    AND l.id NOT IN (SELECT t.owner FROM task t
        WHERE t.owner IN (SELECT id FROM lease WHERE dead) AND :readable);
