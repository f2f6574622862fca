-- Not a statement: what ":budget_price" stands for in others: what a claim of the
-- waiting row w of a request r adds to its budgets. What its doubt counts already, it
-- does not count twice.
(greatest(0, coalesce(r.price, (SELECT max(guess) FROM budget), 0) - coalesce((
            SELECT m.amount FROM money m
            WHERE m.task = w.id AND m.submission = w.submission
                AND m.day = (SELECT day FROM today)), 0)))
