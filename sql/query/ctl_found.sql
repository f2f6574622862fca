-- Not a statement: what ":ctl_found" stands for in others: the requests that fit
-- what was asked (cmd/pixverse-ctl/filter.h), newest first, each with the state
-- that people see. A request is in one of the four places.
-- $1 states and $2 states with a kind, as 100 * state + kind (both null: all);
-- $3 kinds, $4 a pattern of the error's text, $5 tenant, $6 account (null: all);
-- $7 received at that time or later, $8 before that (ms); $9 with a smaller id;
-- $10 at most so many; $11 whether any told one can fit, $12 whether only failures
-- can: what is constant falls out before the statement is planned.
((SELECT t.id, t.state::integer AS state
    FROM task t JOIN request r USING (id)
   WHERE NOT :bare
     AND ($1::int[] IS NULL OR t.state = ANY ($1::int[])
         OR 100 * t.state + t.kind = ANY ($2::int[]))
     AND ($3::int[] IS NULL OR t.kind = ANY ($3::int[]))
     AND ($4::text IS NULL OR :ctl_error ILIKE $4::text OR EXISTS (
         SELECT FROM reason y WHERE y.task = t.id AND y.fence = t.fence
             AND y.state = t.state AND y.answer ILIKE $4::text))
     AND :ctl_fits
   ORDER BY t.id DESC LIMIT $10::bigint)
 UNION ALL
 (SELECT t.id, :QUEUED
    FROM (SELECT id, fence, received_ms,
            coalesce(nullif(account, ''), pinned, '') AS account
        FROM waiting) t JOIN request r USING (id)
   WHERE ($1::int[] IS NULL OR :QUEUED = ANY ($1::int[]))
     AND NOT $12::boolean
     AND ($4::text IS NULL OR EXISTS (
         SELECT FROM reason y WHERE y.task = t.id AND y.fence = t.fence
             AND y.state = :QUEUED AND y.answer ILIKE $4::text))
     AND :ctl_fits
   ORDER BY t.id DESC LIMIT $10::bigint)
 UNION ALL
 (SELECT t.id, k.state
    FROM (SELECT t.id, t.state FROM task t WHERE :bare) k
    JOIN closed t USING (id) JOIN request r USING (id)
   WHERE ($1::int[] IS NULL OR k.state = ANY ($1::int[])
         OR 100 * k.state + t.kind = ANY ($2::int[]))
     AND ($3::int[] IS NULL OR t.kind = ANY ($3::int[]))
     AND ($4::text IS NULL OR :ctl_error ILIKE $4::text)
     AND :ctl_fits
   ORDER BY t.id DESC LIMIT $10::bigint)
 UNION ALL
 (SELECT t.id, t.state
    FROM closed t JOIN request r USING (id)
   WHERE $11::boolean AND (NOT $12::boolean AND $4::text IS NULL OR t.kind <> 0)
     AND NOT EXISTS (SELECT FROM task k WHERE k.id = t.id)
     AND ($1::int[] IS NULL OR t.state = ANY ($1::int[])
         OR 100 * t.state + t.kind = ANY ($2::int[]))
     AND ($3::int[] IS NULL OR t.kind = ANY ($3::int[]))
     AND ($4::text IS NULL OR :ctl_error ILIKE $4::text)
     AND :ctl_fits
   ORDER BY t.id DESC LIMIT $10::bigint))
