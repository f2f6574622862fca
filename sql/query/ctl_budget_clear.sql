-- Money of those without a budget is kept no longer, nor do they wait for one; that of
-- $1 is counted anew ('*': everybody's; null: nobody's).
WITH gone AS MATERIALIZED (
    DELETE FROM money m
     WHERE m.tenant = $1::text OR $1::text = '*' OR NOT EXISTS (
           SELECT FROM budget b WHERE b.tenant = m.tenant OR b.tenant = '*')
), sums AS (
    DELETE FROM spent s
     WHERE s.tenant = $1::text OR $1::text = '*' OR NOT EXISTS (
           SELECT FROM budget b WHERE b.tenant = s.tenant OR b.tenant = '*')
), free AS (
    UPDATE waiting w SET budget = NULL
     WHERE w.budget IS NOT NULL AND NOT EXISTS (
           SELECT FROM budget b WHERE b.tenant = w.budget OR b.tenant = '*')
    RETURNING w.id
)
SELECT json_build_object('freed', (SELECT count(*) FROM free));
