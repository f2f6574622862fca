-- One worker at a time claims of tenants with a budget, to its commit. Who comes
-- meanwhile does not wait: its claim leaves them alone, as the setting says.
SELECT set_config('pixverse.budget',
    pg_try_advisory_xact_lock(7264930520)::text, true);
