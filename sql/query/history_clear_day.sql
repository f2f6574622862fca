-- What was counted of its rows before. $1 day.
DELETE FROM stat WHERE day = DATE '1970-01-01' + $1::integer AND NOT pruned;
