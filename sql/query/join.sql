-- A new lease.
INSERT INTO lease (name, tasks_max, account)
VALUES ($1::text, $2::integer, $3::text)
RETURNING id;
