-- Sequences that are behind what their columns hold, as after a restore or a
-- switch to a logical copy: what they give next is taken. A lease's number stands
-- in the rows that it owns, too.
WITH s (sequence, most) AS (
    VALUES
        (pg_get_serial_sequence('request', 'id'), greatest(
            (SELECT max(id) FROM request), (SELECT max(id) FROM task),
            (SELECT max(id) FROM waiting), (SELECT max(id) FROM closed))),
        (pg_get_serial_sequence('lease', 'id'), greatest(
            (SELECT max(id) FROM lease),
            (SELECT max(owner) FROM task WHERE owner > 0)))
)
SELECT sequence, coalesce(pg_sequence_last_value(sequence::regclass), 0) AS last,
    most
FROM s
WHERE most > coalesce(pg_sequence_last_value(sequence::regclass), 0);
