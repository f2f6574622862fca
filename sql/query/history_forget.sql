-- Ids that nobody has named for so long go: since when ids are known was written
-- down before, so long ago that every batch that read the older time has ended.
-- $1 how many at most, $2 when that is.
WITH l AS MATERIALIZED (
    SELECT r.id FROM request r
    WHERE r.pruned_ms IS NOT NULL AND r.seen_ms < (
            SELECT known_from_ms FROM meta WHERE known_moved_ms <= $2::bigint)
        AND NOT EXISTS (SELECT FROM task t WHERE t.id = r.id)
        AND NOT EXISTS (SELECT FROM waiting w WHERE w.id = r.id)
        AND NOT EXISTS (SELECT FROM closed c WHERE c.id = r.id)
    ORDER BY r.seen_ms
    LIMIT $1::bigint
    FOR UPDATE OF r SKIP LOCKED
), gone AS (
    DELETE FROM request r USING l WHERE r.id = l.id
    RETURNING r.id
)
SELECT count(*) FROM gone;
