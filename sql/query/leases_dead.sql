-- The dead whose rows a pass of takeovers is going to find. $1 most of them.
SELECT id FROM lease WHERE dead ORDER BY id LIMIT $1::integer;
