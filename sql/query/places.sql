-- More places under the fleet's limit become ours: as many as are free. Another
-- that has never taken any may work without a limit: it counts with all that it
-- works on. Those of a dead lease count until their rows are taken over, which
-- bring them along, or until the last send that it can have made is too long ago.
-- $1 owner, $2 most of them, $3 GENERATIONS_MAX, $4 so many ms after its last bump
-- a dead lease counts no more, $5 of each priority from 0 on, the id behind which
-- claims begin: where nothing waits none are taken; $6 whose pinned rows count.
WITH waits AS MATERIALIZED (
    SELECT EXISTS (
        SELECT FROM generate_subscripts($5::bigint[], 1) AS p (at),
            LATERAL (
                SELECT FROM waiting w
                WHERE (w.priority, w.id) > (p.at - 1, ($5::bigint[])[p.at])
                    AND w.priority <= p.at - 1 AND w.source IS NULL
                    AND w.budget IS NULL
                    AND w.pinned IS NULL
                ORDER BY w.priority, w.id
                LIMIT 1) AS one)
        OR EXISTS (
            SELECT FROM unnest($6::text[]) AS a (name), LATERAL (
                SELECT FROM waiting w
                WHERE w.pinned = a.name AND w.source IS NULL
                    AND w.budget IS NULL
                LIMIT 1) AS one) AS any
), free AS MATERIALIZED (
    SELECT greatest(0, least($2::integer, $3::integer - (
        SELECT coalesce(sum(coalesce(
            places, CASE WHEN id = $1::bigint THEN 0 ELSE tasks END)), 0)
        FROM lease
        WHERE NOT dead OR bumped_ms > (
            extract(epoch FROM clock_timestamp()) * 1000)::bigint
            - $4::bigint))) AS n
    FROM waits
    WHERE waits.any AND current_setting('pixverse.takes', true) = 'true'
), taken AS (
    UPDATE lease SET places = coalesce(places, 0) + free.n
    FROM free
    WHERE id = $1::bigint AND NOT dead AND free.n > 0
    RETURNING free.n
)
SELECT waits.any AS waits,
    current_setting('pixverse.takes', true) IS DISTINCT FROM 'true' AS busy,
    coalesce((SELECT n FROM taken), 0)::integer AS got
FROM waits;
