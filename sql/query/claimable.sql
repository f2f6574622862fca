-- Not a statement: what ":claimable" stands for in claim.sql and
-- claim_share.sql: what is asked of a
-- waiting row w whose turn it is.
(w.source IS NULL AND w.budget IS NULL
            AND w.not_before_ms <= $2::bigint
            AND (w.deadline_ms = 0 OR w.deadline_ms > $2::bigint)
            AND (NOT w.doubt OR (w.first_sent_ms > $6::bigint AND EXISTS (
                SELECT FROM account a, meta m
                WHERE a.account = $4::text AND a.since_ms <= m.rewound_ms
                    AND (SELECT count(*) FROM account) = 1)))
            -- Not a join: without statistics it would look at every pair. And
            -- nothing that the planner takes for rare: it would sort them all.
            AND coalesce((SELECT false FROM cancel o WHERE o.task = w.id), true))
