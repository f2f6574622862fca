-- Not a statement: what ":ctl_error" stands for in others: what the event of a
-- failed t says went wrong; null: no event, or a completed one. Only those are packed
-- (event_text).
(CASE WHEN t.kind <> 0 AND position('\u0000' IN t.event) = 0
    THEN substring(t.event FROM E'\nvalue [0-9]+\n(.*)')::json
        #>> '{error,message}' END)
