-- What waits for another request, as that stands by now: where it is finished
-- upstream, its provider id goes into the row, which waits for a claim from now on, by
-- the account that has it;
-- where it failed, or is another tenant's, the row is marked to end so (expire.sql).
-- One that is not there, on its way or late is waited for. Two transactions may not
-- see each other, so all of them are looked at now and then, source by source.
-- $1 tasks that others may wait for, $2 request ids of such, $3 all sources behind
-- this one (null: none, empty: from the first), $4 so many of these at most,
-- $5 most rows to change. Says how many sources it looked at, the last of them, how
-- many rows it let go and how many it marked.
WITH RECURSIVE pass AS (
    (SELECT w.source FROM waiting w
        WHERE w.source > $3::text ORDER BY w.source LIMIT 1)
    UNION ALL
    SELECT (SELECT w.source FROM waiting w
        WHERE w.source > pass.source ORDER BY w.source LIMIT 1)
    FROM pass WHERE pass.source IS NOT NULL
), looked AS MATERIALIZED (
    SELECT source FROM pass WHERE source IS NOT NULL LIMIT $4::integer
), named AS MATERIALIZED (
    SELECT r.request_id FROM request r
    WHERE r.id = ANY ($1::bigint[])
        AND EXISTS (SELECT FROM waiting WHERE source IS NOT NULL)
    UNION SELECT v.request_id FROM unnest($2::text[]) AS v (request_id)
    UNION SELECT source FROM looked
), s AS MATERIALIZED (
    -- Of what came to its end, and of what is finished upstream before.
    SELECT r.request_id, r.tenant, coalesce(t.account, c.account) AS account,
        CASE
            WHEN t.state = :READY THEN t.provider_task_id
            WHEN c.kind IN (0, :asset_expired, :asset_unusable)
            THEN nullif(c.provider_task_id, '')
        END AS task_id
    -- By key, each of them: joins would read all that waits, where nothing is known of
    -- the tables, or that they were empty.
    FROM named n
    CROSS JOIN LATERAL (
        SELECT id, request_id, tenant, pruned_ms FROM request
        WHERE request_id = n.request_id
        OFFSET 0) r
    LEFT JOIN LATERAL (
        SELECT id, state, account, provider_task_id FROM task
        WHERE id = r.id AND state = :READY
        OFFSET 0) t ON true
    LEFT JOIN LATERAL (
        SELECT id, kind, account, provider_task_id FROM closed WHERE id = r.id
        OFFSET 0) c ON true
    WHERE t.id IS NOT NULL OR c.id IS NOT NULL OR r.pruned_ms IS NOT NULL
), pick AS MATERIALIZED (
    SELECT w.ctid AS place, s.account,
        CASE WHEN r.tenant = s.tenant THEN s.task_id END AS task_id
    FROM s JOIN waiting w ON w.source = s.request_id
    CROSS JOIN LATERAL (SELECT tenant FROM request WHERE id = w.id OFFSET 0) r
    WHERE w.kind = 0
    LIMIT $5::integer
    FOR UPDATE OF w SKIP LOCKED
), moved AS (
    UPDATE waiting w SET
        source = CASE WHEN p.task_id IS NULL THEN w.source END,
        source_task_id = p.task_id,
        account = CASE WHEN p.task_id IS NULL THEN w.account ELSE p.account END,
        pinned = CASE WHEN p.task_id IS NULL THEN w.pinned
            ELSE nullif(split_part(p.account, ':', 1), '') END,
        not_before_ms = CASE WHEN p.task_id IS NULL THEN w.not_before_ms ELSE 0 END,
        kind = CASE WHEN p.task_id IS NULL THEN :source_failed ELSE 0 END
    FROM pick p
    WHERE w.ctid = p.place -- what was changed since: at the next look
    RETURNING w.kind
)
SELECT (SELECT count(*) FROM looked) AS looked,
    (SELECT max(source) FROM looked) AS last,
    (SELECT count(*) FROM moved WHERE kind = 0) AS freed,
    (SELECT count(*) FROM moved WHERE kind <> 0) AS marked;
