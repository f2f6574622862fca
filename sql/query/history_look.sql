-- The days between that have ends and are not counted, the oldest first; each next
-- one is found by the index, so that their number is the work. In every row: the
-- oldest end that is kept, when a day was last counted.
-- $1 from, $2 to: beginnings of days, in milliseconds.
WITH RECURSIVE d AS (
    SELECT least(
        (SELECT min(closed_ms) FROM closed WHERE closed_ms >= $1::bigint),
        (SELECT min(closed_ms) FROM past WHERE closed_ms >= $1::bigint))
        / 86400000 AS n
    UNION ALL
    SELECT least(
        (SELECT min(closed_ms) FROM closed
            WHERE closed_ms >= (d.n + 1) * 86400000),
        (SELECT min(closed_ms) FROM past WHERE closed_ms >= (d.n + 1) * 86400000))
        / 86400000
    FROM d WHERE (d.n + 1) * 86400000 < $2::bigint
), due AS (
    SELECT d.n FROM d
    LEFT JOIN stat_day s ON s.day = DATE '1970-01-01' + d.n::integer
    WHERE (d.n + 1) * 86400000 <= $2::bigint AND coalesce(s.counted_ms, 0) <= 0
    ORDER BY d.n LIMIT $3::bigint
)
SELECT (SELECT min(closed_ms) FROM closed) AS oldest_ms,
    (SELECT max(counted_ms) FROM stat_day) AS counted_ms, due.n
FROM (SELECT) one LEFT JOIN due ON true
ORDER BY due.n;
