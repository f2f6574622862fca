SELECT reason, scope, since_ms, next_try_ms, message
FROM hold ORDER BY since_ms, reason, scope;
