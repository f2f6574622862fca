SELECT NOT dead FROM lease WHERE id = $1::bigint
