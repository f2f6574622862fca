-- pixverse-ctl doctor: what this role may not do, told before anything is asked that it
-- may not.
WITH ours (name) AS :ctl_ours, found (detail) AS (
    SELECT p || ' on ' || o.name
      FROM ours o, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
     WHERE to_regclass(o.name) IS NOT NULL
       AND NOT has_table_privilege(to_regclass(o.name), p)
    UNION ALL
    SELECT 'USAGE on ' || s
      FROM (SELECT pg_get_serial_sequence(t, 'id') AS s
              FROM unnest(ARRAY['request', 'lease']) t
             WHERE to_regclass(t) IS NOT NULL) v
     WHERE NOT has_sequence_privilege(s, 'USAGE')
)
SELECT json_build_object('finding', 'rights', 'n', count(*),
           'of', (array_agg(detail ORDER BY detail))[1:5])
  FROM found HAVING count(*) > 0;
