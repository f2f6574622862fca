-- The broker has these: they are owed no more. $1 ids.
DELETE FROM accepted WHERE id = ANY ($1::bigint[]);
