-- Some leases by id: dead versions of a row cost time while an old snapshot is
-- held, so that not every beat reads all of them.
SELECT id, counter, dead FROM lease WHERE id = ANY ($1::bigint[]) ORDER BY id;
