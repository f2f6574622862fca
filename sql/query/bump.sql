-- The worker is alive and works on so many tasks. No row: it was declared dead.
UPDATE lease SET counter = counter + 1, tasks = $2::integer
WHERE id = $1::bigint AND NOT dead
RETURNING id;
