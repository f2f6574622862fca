SELECT provider_task_id, state, kind FROM task
WHERE owner <> 0 AND provider_task_id <> ''
    AND provider_task_id = ANY ($1::text[]);
