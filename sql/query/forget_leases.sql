-- Dead leases that own nothing any more.
DELETE FROM lease l
WHERE l.dead AND l.id <> $1::bigint
    AND l.id NOT IN (SELECT owner FROM task WHERE owner IN (
        SELECT id FROM lease WHERE dead));
