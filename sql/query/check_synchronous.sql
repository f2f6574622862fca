SELECT current_setting('synchronous_commit') AS synchronous_commit;
