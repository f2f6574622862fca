-- How many fit, counted up to $10. $1..$12 as in ctl_found.
SELECT json_build_object('fit', count(*))
  FROM (SELECT FROM :ctl_found found LIMIT $10::bigint) f;
