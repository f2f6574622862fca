-- One claim at a time counts the generations of the fleet, to its commit. Who
-- comes meanwhile does not wait: its claim is told so by the setting.
SELECT set_config('pixverse.counts',
    pg_try_advisory_xact_lock(7264930517)::text, true);
