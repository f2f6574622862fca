-- Not a statement: what ":bare" stands for in others. A task t that has come to a
-- final end and is not told yet: nothing but its key and owner, all else is in
-- closed.
(t.state IN (:SUCCEEDED, :FAILED) AND t.event IS NULL)
