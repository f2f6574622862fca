-- For this transaction only, in milliseconds.
SELECT set_config('lock_timeout', $1::text, true);
