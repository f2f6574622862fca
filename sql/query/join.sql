-- A new lease.
INSERT INTO lease (name, tasks_max, account, admin)
VALUES ($1::text, $2::integer, $3::text, $4::text)
RETURNING id;
