-- It holds, unless somebody has changed the day meanwhile. $1 day, $2 now.
UPDATE stat_day SET counted_ms = $2::bigint
WHERE day = DATE '1970-01-01' + $1::integer AND counted_ms = -1
RETURNING day;
