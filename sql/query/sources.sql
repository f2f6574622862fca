-- What is known of provider ids: 1 finished, 2 unfinished, 3 failed upstream.
SELECT v.place,
       CASE WHEN s.state IN (3, 4) OR (s.state = 7 AND s.kind IN (0, 9, 10)) THEN 1
            WHEN s.state IN (2, 6) THEN 2
            ELSE 3 END
FROM unnest($1::int[], $2::text[]) AS v (place, provider_task_id)
JOIN LATERAL (
    SELECT state, kind FROM task t
    WHERE t.provider_task_id = v.provider_task_id
    UNION ALL
    SELECT state, kind FROM closed c
    WHERE c.provider_task_id = v.provider_task_id AND c.provider_task_id <> ''
    LIMIT 1
) s ON true
