-- An operator stops submissions. $1 why.
WITH before AS (
    SELECT message FROM hold WHERE reason = 'operator' AND scope = '*'
), pause AS (
    INSERT INTO hold (reason, scope, since_ms, next_try_ms, message)
    VALUES ('operator', '*',
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint, 0, $1::text)
    ON CONFLICT (reason, scope) DO UPDATE SET message = excluded.message
    RETURNING since_ms, message
)
SELECT json_strip_nulls(json_build_object(
           'since_ms', since_ms, 'reason', pause.message,
           'before', before.message,
           'workers', (SELECT count(*) FROM lease WHERE NOT dead)))
  FROM pause LEFT JOIN before ON true;
