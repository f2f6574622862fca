-- What an account takes at once, as one worker learnt it, if nobody else has said
-- another since: that one decided from what it had read. $1 the account's name,
-- $2 so many (0: all that are set), $3 of so many, $4 the last refusal that counted,
-- $5 now, $6 the change that it had read.
UPDATE account_url SET slots_learnt = $2::integer, slots_of = $3::integer,
    refused_ms = $4::bigint, learnt_ms = $5::bigint
WHERE name = $1::text AND learnt_ms = $6::bigint
RETURNING name;
