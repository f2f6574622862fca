-- Not a statement: what ":claim_room" stands for in claim.sql: how many rows may be
-- claimed, by what slots.sql has left in a setting where the account has a limit.
(CASE WHEN $8::boolean THEN least($3::integer, coalesce(
            nullif(current_setting('pixverse.room', true), '')::integer, 0))
        ELSE $3::integer END)
