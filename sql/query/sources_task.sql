SELECT provider_task_id, state, kind FROM task
WHERE provider_task_id <> '' AND provider_task_id = ANY ($1::text[]);
