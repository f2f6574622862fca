-- Not a statement: what ":money_cost" stands for in others: the cost of a row t in
-- millionths, as lib/core/money.c makes it of a double; null: none was told.
(CASE WHEN t.has_cost
    THEN floor(least(t.cost, 1000000000) * 1000000 + 0.5)::bigint END)
