-- Who may be claiming.
SELECT json_build_object('id', id) FROM lease WHERE NOT dead ORDER BY id;
