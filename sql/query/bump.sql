-- The worker is alive. No row: it was declared dead.
UPDATE lease SET counter = counter + 1
WHERE id = $1::bigint AND NOT dead
RETURNING id;
