-- The names of our tables (:ctl_ours).
(
    SELECT unnest(ARRAY['request', 'waiting', 'task', 'closed', 'past', 'stat',
        'stat_day', 'budget', 'money', 'spent', 'cancel', 'early_cancel', 'lease', 'lease_use', 'tenant', 'vitals', 'hold', 'reason',
        'shared_reason', 'accepted', 'account', 'account_url', 'replayed', 'fleet', 'meta'])
)
