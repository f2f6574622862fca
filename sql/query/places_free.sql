-- What the dead have of places under the fleet's limit is free once a pass of
-- takeovers has left nothing that takes one: not while this program can't read
-- some of it. $1 owner, $2 those that were dead before that pass began.
UPDATE lease l SET places = 0
WHERE dead AND id <> $1::bigint AND id = ANY ($2::bigint[]) AND places > 0
    AND NOT EXISTS (
        SELECT FROM task t
        WHERE t.owner = l.id AND t.owner <> 0
            AND t.state IN (:SUBMITTING, :RUNNING));
