-- Whose a provider id is. $1 provider id.
SELECT json_build_object('request_id', r.request_id)
  FROM request r
  JOIN (SELECT id FROM task
         WHERE provider_task_id = $1::text AND provider_task_id <> ''
        UNION
        SELECT id FROM closed
         WHERE hashtextextended(provider_task_id, 0)
                = hashtextextended($1::text, 0)
           AND provider_task_id = $1::text AND provider_task_id <> '') t
    USING (id);
