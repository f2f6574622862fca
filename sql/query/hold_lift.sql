DELETE FROM hold WHERE reason = $1::text AND scope = $2::text
RETURNING reason;
