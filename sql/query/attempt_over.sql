-- Not a statement: what ":attempt_over" stands for in those that write an id $3 for $1's
-- submission $2: it is that of an attempt which the provider had no room for, and what
-- waits or is on its way is another one.
(EXISTS (SELECT FROM past o
        WHERE o.id = $1::bigint AND o.submission = $2::integer
            AND o.provider_task_id = $3::text AND o.event IS NULL))
