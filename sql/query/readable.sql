-- Not a statement: what ":readable" stands for in others, so that none of them
-- touches what only a later program understands. Of a task t: a state and a kind
-- that this program knows, nothing missing, nothing too long for struct task_row,
-- and its request, with a body as long as it may be sent.
(t.state BETWEEN :QUEUED AND :LATE AND t.kind BETWEEN 0 AND :source_failed
    AND octet_length(t.account) < :ACCOUNT_BYTES
    AND octet_length(t.provider_task_id) < :PROVIDER_TASK_ID_BYTES
    AND octet_length(coalesce(t.unusable, '')) < :UNUSABLE_BYTES
    AND octet_length(coalesce(t.source_task_id, '')) < :PROVIDER_TASK_ID_BYTES
    AND num_nulls(:t.value_columns) = 0
    AND (SELECT octet_length(r.request_id) BETWEEN 1 AND :REQUEST_ID_BYTES - 1
                AND (t.state > :SUBMITTING OR r.body IS NOT NULL)
            FROM request r WHERE r.id = t.id))
