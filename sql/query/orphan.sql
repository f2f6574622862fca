-- Not a statement: what ":orphan" stands for in others. A task t whose owner has
-- no live lease, or that is nobody's. A lease that is younger than the statement is
-- nobody's grave.
(t.owner NOT IN (SELECT id FROM lease WHERE NOT dead)
    AND t.owner <= (SELECT max(id) FROM lease))
