-- What the claim before it met: whether it had the lock, and whether it put anything
-- aside for want of a budget.
SELECT coalesce(current_setting('pixverse.budget', true), '') = 'true' AS had,
    coalesce(current_setting('pixverse.barred', true), '') = 'true' AS barred;
