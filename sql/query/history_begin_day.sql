-- A day is being counted; whoever changes it from now on has it counted again.
-- $1 day, counted from 1970.
INSERT INTO stat_day (day, counted_ms)
VALUES (DATE '1970-01-01' + $1::integer, -1)
ON CONFLICT (day) DO UPDATE SET counted_ms = -1;
