-- Not a statement: what ":row_readable" stands for in readable.sql and claim.sql: a
-- task t has a state and a kind that this program knows, nothing is missing, nothing
-- too long for struct task_row.
(t.state BETWEEN :QUEUED AND :LATE AND t.kind BETWEEN 0 AND :source_failed
    AND octet_length(t.account) < :ACCOUNT_BYTES
    AND octet_length(t.provider_task_id) < :PROVIDER_TASK_ID_BYTES
    AND octet_length(coalesce(t.unusable, '')) < :UNUSABLE_BYTES
    AND octet_length(coalesce(t.source_task_id, '')) < :PROVIDER_TASK_ID_BYTES
    AND num_nulls(:t.value_columns) = 0)
