SELECT provider_task_id, state, kind,
    split_part(account, ':', 1) AS account FROM task
WHERE owner <> 0 AND provider_task_id <> ''
    AND provider_task_id = ANY ($1::text[]);
