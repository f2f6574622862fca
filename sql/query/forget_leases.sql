-- Dead leases whose rows were all taken over, but for what this program can't
-- read. $1 owner, $2 those that were dead before that pass began, $3 as $4 of
-- places, $4 the fleet has a limit: who has places under it stays until then.
WITH gone AS (
    DELETE FROM lease
    WHERE dead AND id <> $1::bigint AND id = ANY ($2::bigint[])
        AND (NOT $4::boolean OR coalesce(places, 0) = 0
            OR bumped_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint
                - $3::bigint)
    RETURNING id
)
DELETE FROM lease_use u USING gone WHERE u.lease = gone.id;
