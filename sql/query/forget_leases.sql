-- Dead leases whose rows were all taken over, but for what this program can't
-- read. $1 owner, $2 those that were dead before that pass began.
DELETE FROM lease
WHERE dead AND id <> $1::bigint AND id = ANY ($2::bigint[]);
