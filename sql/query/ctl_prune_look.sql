-- How much history ended before a time, counted to a million: what pruning takes,
-- but for what waits or is in flight once more at that moment. $1 before (ms).
SELECT json_strip_nulls(json_build_object(
           'n', (SELECT count(*) FROM (
               SELECT FROM closed c
                WHERE c.closed_ms < $1::bigint
                  AND NOT EXISTS (SELECT FROM task t WHERE t.id = c.id)
                LIMIT 1000001) n),
           'oldest_ms', (SELECT min(closed_ms) FROM closed),
           'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint));
