-- An operator has a request sent that waits in doubt, though it may have been
-- bought before the database was set back. $1 task.
UPDATE waiting SET doubt = false, first_sent_ms = 0
WHERE id = $1::bigint AND doubt
RETURNING id;
