-- How many of an account's slots are free, for the claim behind this in the
-- same transaction. Nothing is counted where nothing waits.
-- $1 the account's name, $2 its slots, $3 now, $4 of each priority from 0 on, the id
-- behind which the claim begins. -1: another claims at this moment.
WITH room AS MATERIALIZED (
    SELECT CASE
        WHEN current_setting('pixverse.counts', true) IS DISTINCT FROM 'true'
        THEN -1
        WHEN NOT EXISTS (
            SELECT FROM generate_subscripts($4::bigint[], 1) AS p (at),
                LATERAL (
                    SELECT FROM waiting w
                    WHERE (w.priority, w.id) > (p.at - 1, ($4::bigint[])[p.at])
                        AND w.priority <= p.at - 1 AND w.source IS NULL
                        AND w.pinned IS NULL AND w.budget IS NULL
                    ORDER BY w.priority, w.id
                    LIMIT 1) AS one)
            AND NOT EXISTS (
                SELECT FROM waiting w
                WHERE w.pinned = $1::text AND w.source IS NULL
                    AND w.budget IS NULL)
        THEN 2147483647
        ELSE greatest(0, $2::integer - (
            SELECT count(*)::integer FROM task
            WHERE owner <> 0 AND state IN (:SUBMITTING, :RUNNING)
                AND last_sent_ms > $3::bigint - 600000
                AND split_part(account, ':', 1) = $1::text))
        END AS n
)
-- What comes in between is uncounted: the claim takes nothing then, and its beat wakes
-- another.
SELECT n, set_config('pixverse.room', CASE WHEN n = 2147483647 THEN 0
    ELSE greatest(n, 0) END::text, true) FROM room;
