-- pixverse-ctl account move. $1 name, $2 the URL from now on (core/apimart.h).
UPDATE account_url u SET url = $2::text
FROM account_url was
WHERE u.name = $1::text AND was.name = u.name
RETURNING json_build_object('account', u.name, 'url', u.url, 'was', was.url,
    'tasks', (SELECT count(*) FROM task t
        WHERE split_part(t.account, ':', 1) = u.name AND was.url <> u.url
            AND NOT :bare));
