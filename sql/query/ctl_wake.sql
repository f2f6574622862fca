-- A lease that is dead from the start: workers that see one look for the rows
-- of nobody, take them over, and forget it.
INSERT INTO lease (name, dead, tasks_max, accounts)
VALUES ('pixverse-ctl', true, 0, '{}')
RETURNING id;
