-- Not a statement: what ":readable" stands for in others, so that none of them
-- touches what only a later program understands. Of a task t: both it and its request
-- are as this program knows them.
(:row_readable AND (SELECT :request_readable FROM request r WHERE r.id = t.id))
