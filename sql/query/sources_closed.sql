SELECT c.provider_task_id, :CLOSED AS state, c.kind
FROM unnest($1::text[]) AS v(provider_task_id)
JOIN closed c ON c.provider_task_id = v.provider_task_id
    AND c.provider_task_id <> '';
