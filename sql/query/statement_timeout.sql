-- For this transaction only, in milliseconds.
SELECT set_config('statement_timeout', $1::text, true);
