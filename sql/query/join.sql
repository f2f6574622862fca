-- A new lease, under a number that is in no row, whatever became of the sequence:
-- one that comes again would be two workers' at once.
WITH last AS MATERIALIZED (
    SELECT greatest(
        (SELECT max(id) FROM lease),
        (SELECT max(owner) FROM task WHERE owner <> 0), 0) AS id
), next AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('lease', 'id')) AS id
)
INSERT INTO lease (id, name, tasks_max, accounts, admin, shares, slots)
OVERRIDING SYSTEM VALUE
SELECT CASE WHEN next.id > last.id THEN next.id
        ELSE setval(pg_get_serial_sequence('lease', 'id'), last.id + 1) END,
    $1::text, $2::integer, $3::text[], $4::text, $5::boolean,
    $6::integer[]
FROM last, next
RETURNING id;
