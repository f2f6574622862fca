-- Who moves the time of the next try is the one who probes.
UPDATE hold SET next_try_ms = $3::bigint + $4::bigint
WHERE reason = $1::text AND scope = $2::text AND next_try_ms <= $3::bigint
RETURNING reason;
