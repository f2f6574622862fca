-- pixverse-ctl account list: where each account is, and what it does.
SELECT json_build_object(
           'account', u.name, 'url', u.url,
           'keys', (SELECT count(*) FROM account a
                     WHERE split_part(a.account, ':', 1) = u.name),
           'workers', (SELECT count(*) FROM lease l
                        WHERE NOT l.dead AND EXISTS (
                            SELECT FROM unnest(l.accounts) AS a (account)
                            WHERE split_part(a.account, ':', 1) = u.name)),
           'tasks', (SELECT count(*) FROM task t
                      WHERE split_part(t.account, ':', 1) = u.name),
           'holds', (SELECT coalesce(json_agg(DISTINCT h.reason), '[]')
                       FROM hold h
                      WHERE h.reason IN ('auth', 'balance', 'channel')
                        AND split_part(h.scope, ':', 1) = u.name))
  FROM account_url u
 ORDER BY u.name COLLATE "C";
