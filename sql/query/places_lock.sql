-- One worker at a time takes places under the fleet's limit, to its commit. Who
-- comes meanwhile does not wait: it is told so by the setting.
SELECT set_config('pixverse.takes',
    pg_try_advisory_xact_lock(7264930517)::text, true);
