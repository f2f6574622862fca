-- Ids that were there: with the same content it is a repeat, and known for as long
-- from this message on. No content: not known, or forgotten at this moment;
-- only then it matters whether it is too old.
-- $1 ids, $2 when the last message of each was produced, $3 since when ids are
-- known, as our settings say.
WITH v AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::bigint[]) AS v(request_id, newest_ms)
), l AS MATERIALIZED (
    SELECT r.id, v.newest_ms
    FROM v JOIN request r ON r.request_id = v.request_id
    WHERE r.seen_ms < v.newest_ms
    ORDER BY r.id
    FOR NO KEY UPDATE OF r
), seen AS (
    UPDATE request r SET seen_ms = l.newest_ms
    FROM l
    WHERE r.id = l.id AND r.seen_ms < l.newest_ms
    RETURNING r.id
)
SELECT v.request_id,
    CASE WHEN r.seen_ms >= v.newest_ms OR r.id IN (SELECT id FROM seen)
        THEN encode(r.content, 'hex') END AS content,
    v.newest_ms < greatest(
        $3::bigint, (SELECT known_from_ms FROM meta)) AS too_old
FROM v LEFT JOIN request r ON r.request_id = v.request_id;
