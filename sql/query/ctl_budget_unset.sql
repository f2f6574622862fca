-- What a tenant may spend is limited no more. $1 tenant.
WITH gone AS (
    DELETE FROM budget
     WHERE tenant = $1::text
    RETURNING period
)
SELECT json_build_object('gone', count(*)) FROM gone;
