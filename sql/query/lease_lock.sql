-- A claim or takeover locks its own lease against being declared dead, not
-- against the bump. No row: it is dead.
SELECT id FROM lease WHERE id = $1::bigint AND NOT dead FOR KEY SHARE;
