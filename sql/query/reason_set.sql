-- Why tasks of $1 wait, where they are what their owner saw.
INSERT INTO reason (task, fence, state, word, since_ms, tries, answer, next_ms)
SELECT v.task, v.fence, v.state, v.word, v.since_ms, v.tries, v.answer,
    v.next_ms
FROM unnest($2::bigint[], $3::integer[], $4::smallint[], $5::text[],
        $6::bigint[], $7::integer[], $8::text[], $9::bigint[])
    AS v(task, fence, state, word, since_ms, tries, answer, next_ms)
JOIN task t ON t.id = v.task
WHERE t.owner = $1::bigint AND t.fence = v.fence AND t.state = v.state
ORDER BY v.task
ON CONFLICT (task) DO UPDATE SET
    fence = excluded.fence, state = excluded.state, word = excluded.word,
    since_ms = excluded.since_ms, tries = excluded.tries,
    answer = excluded.answer, next_ms = excluded.next_ms;
