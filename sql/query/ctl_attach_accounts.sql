-- Whose a provider id may be: the accounts that any worker ever had, by their names; and
-- whether $1, which waits, is for this one alone. $1 task.
SELECT json_build_object('name', a.name, 'pinned', nullif(EXISTS (
           SELECT FROM waiting w WHERE w.id = $1::bigint AND w.pinned = a.name), false))
  FROM (SELECT DISTINCT split_part(account, ':', 1) AS name FROM account) a
 ORDER BY a.name;
