-- Before a claim by tenants, to its commit. $1 some may have a cap: one worker at a
-- time claims of such; who comes meanwhile does not wait. A cap that is being set
-- waits for the claims under way (ctl_tenant_set.sql), and nobody for it. The first
-- column tells, the settings tell the claim.
WITH l AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock_shared(7264930519) AS open,
        $1::boolean AND pg_try_advisory_xact_lock(7264930522) AS alone
)
SELECT l.open AND (l.alone OR NOT $1::boolean) AS free,
    set_config('pixverse.shares', l.open::text, true),
    set_config('pixverse.caps', (l.open AND l.alone)::text, true)
FROM l;
