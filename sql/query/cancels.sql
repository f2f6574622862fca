-- What an operator ordered to cancel and is ours. $1 owner.
SELECT o.task FROM cancel o JOIN task t ON t.id = o.task
WHERE t.owner = $1::bigint;
