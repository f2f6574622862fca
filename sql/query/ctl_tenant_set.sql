-- pixverse-ctl tenant set. $1 name, $2 weight, null: as it was; $3 slots, null: as
-- they were, 0: no cap.
WITH l AS MATERIALIZED (
    -- Claims under way don't know it yet.
    SELECT pg_advisory_xact_lock(7264930519)
)
INSERT INTO tenant AS t (name, weight, slots)
SELECT $1::text, coalesce($2::text::integer, 1), nullif($3::text::integer, 0)
FROM l
ON CONFLICT (name) DO UPDATE SET
    weight = CASE WHEN $2::text IS NULL THEN t.weight ELSE excluded.weight END,
    slots = CASE WHEN $3::text IS NULL THEN t.slots ELSE excluded.slots END
RETURNING json_build_object('tenant', name, 'weight', weight, 'slots', slots);
