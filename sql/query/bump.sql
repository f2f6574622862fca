-- The worker is alive and works on so many tasks; so many of its places under the
-- fleet's limit it gives back. No row: it was declared dead.
-- $1 owner, $2 tasks, $3 places.
UPDATE lease SET counter = counter + 1, tasks = $2::integer,
    places = places - least(places, $3::integer),
    bumped_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
WHERE id = $1::bigint AND NOT dead
RETURNING id, coalesce(places, 0) AS places;
