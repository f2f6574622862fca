-- What they waited for is over; a later owner's words stay.
DELETE FROM reason r
USING unnest($1::bigint[], $2::integer[]) AS v(task, fence)
WHERE r.task = v.task AND r.fence <= v.fence;
