-- The number of a request. $1 its id.
SELECT json_build_object('id', id) FROM request WHERE request_id = $1::text;
