-- pixverse-ctl tenant unset. $1 name. The last one may end sharing.
WITH gone AS (
    DELETE FROM tenant WHERE name = $1::text RETURNING name
)
SELECT json_build_object('tenant', name,
           'last', NOT EXISTS (SELECT FROM tenant WHERE name <> $1::text)
               AND NOT EXISTS (SELECT FROM lease WHERE shares AND NOT dead))
  FROM gone;
