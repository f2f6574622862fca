-- Dead leases without rows are forgotten.
DELETE FROM lease l WHERE dead AND id <> $1::bigint
  AND NOT EXISTS (SELECT FROM task t WHERE t.owner = l.id)
