INSERT INTO hold (reason, scope, since_ms, next_try_ms, message)
VALUES ($1::text, $2::text,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $3::bigint,
    $4::text)
ON CONFLICT (reason, scope) DO UPDATE SET
    next_try_ms = excluded.next_try_ms, message = excluded.message
RETURNING reason;
