-- All that many tasks of $1 wait for; what isn't named is over.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($2::text[], $3::bigint[], $4::integer[], $5::text[],
        $6::bigint[]) AS v(word, since_ms, tries, answer, next_ms)
), gone AS (
    DELETE FROM shared_reason s
    WHERE s.owner = $1::bigint
        AND s.word NOT IN (SELECT word FROM given)
)
INSERT INTO shared_reason (owner, word, since_ms, tries, answer, next_ms)
SELECT $1::bigint, word, since_ms, tries, answer, next_ms
FROM given
WHERE EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)
ON CONFLICT (owner, word) DO UPDATE SET
    since_ms = excluded.since_ms, tries = excluded.tries,
    answer = excluded.answer, next_ms = excluded.next_ms;
