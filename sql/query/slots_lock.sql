-- One worker at a time claims under an account's slots, to its commit. Who comes
-- meanwhile does not wait: it is told so by the setting. $1 the account's name.
SELECT set_config('pixverse.counts',
    pg_try_advisory_xact_lock(726493051, hashtext($1::text))::text, true);
