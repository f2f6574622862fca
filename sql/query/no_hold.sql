-- Not a statement: what ":no_hold" stands for in those that claim: the worker $1 is
-- alive, and nothing that account $4 or bucket $5 is held by stands against it.
(EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
        AND NOT EXISTS (
            SELECT FROM hold
            WHERE (reason IN ('auth', 'balance', 'channel')
                    AND scope = $4::text)
                OR (reason = 'storage' AND scope = $5::text)
                OR (reason = 'operator' AND scope = '*')))
