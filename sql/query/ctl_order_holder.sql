-- Whose a provider id is, or was: of an earlier submission or attempt. $1 provider id.
SELECT json_build_object('request_id', r.request_id, 'over', bool_and(t.over))
  FROM request r
  JOIN (SELECT id, false AS over FROM task
         WHERE provider_task_id = $1::text AND provider_task_id <> ''
        UNION ALL
        SELECT id, false FROM closed
         WHERE hashtextextended(provider_task_id, 0)
                = hashtextextended($1::text, 0)
           AND provider_task_id = $1::text AND provider_task_id <> ''
        UNION ALL
        SELECT id, true FROM past
         WHERE provider_task_id = $1::text AND provider_task_id <> '') t
    USING (id)
 GROUP BY r.request_id;
