-- pixverse-ctl explain: accounts that take less at once than is set.
SELECT json_build_object('account', name, 'learnt', slots_learnt, 'slots', slots_of,
           'since', to_char(to_timestamp(learnt_ms / 1000.0) AT TIME ZONE 'UTC',
               'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
  FROM account_url
 WHERE slots_learnt > 0
 ORDER BY name COLLATE "C";
