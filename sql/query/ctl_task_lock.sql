-- One order about a request at a time, and no reopening beside it: whoever moves
-- its row back from the end holds this first, and then reads anew. $1 task.
SELECT id FROM request WHERE id = $1::bigint FOR NO KEY UPDATE;
