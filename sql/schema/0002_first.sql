-- What came in: one row per request id. Never changed, but for seen_ms, until its
-- history is pruned: then id, request_id, content and the times stay, which tell a
-- repeat from a new request. Those go when ids of their time are forgotten.
CREATE TABLE request (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id text COLLATE "C" NOT NULL UNIQUE,
    content bytea NOT NULL,            -- SHA-256 of tenant and request as values
    tenant text,                       -- null: it was faulty
    mode smallint NOT NULL,            -- enum request_mode; 0: could not be told
    priority smallint NOT NULL,
    deadline_seconds bigint,           -- null: none given
    metadata text,                     -- JSON as it came
    warnings text NOT NULL,            -- JSON array
    traceparent text,
    tracestate text,
    body text,                         -- the bytes of every send, or what they are
                                       -- joined of; null: at fault, or pruned
    source text COLLATE "C",           -- extend_from_request_id; null: none
    account text COLLATE "C",          -- which has what it extends, by its name;
                                       -- null: none, or the source tells
    price bigint,                      -- the estimate, in millionths; null: none
    received_ms bigint NOT NULL,
    seen_ms bigint NOT NULL            -- the later of received_ms and the Kafka time
        DEFAULT 9223372036854775807,   -- of the last message that named it; the
                                       -- largest number: one had no time
    pruned_ms bigint                   -- null: it was not
);
CREATE INDEX request_pruned ON request (seen_ms) WHERE pruned_ms IS NOT NULL;

-- What is in flight: as small as the fleet's work. A row is born at the claim, and
-- goes back to waiting or on to closed. No index on a column that a save changes:
-- that would end HOT updates. An owner comes and goes with a claim or takeover.
CREATE TABLE task (
    -- First what its saves leave alone, then what they change: the log takes in what
    -- lies between the first byte that changed and the last.
    id bigint PRIMARY KEY,             -- request.id
    owner bigint NOT NULL,             -- lease.id; 0: nobody's; -1: nobody's,
                                       -- to be taken over
    received_ms bigint NOT NULL,
    first_sent_ms bigint NOT NULL,
    last_sent_ms bigint NOT NULL,
    not_before_ms bigint,              -- null: 0 (LATER_COLUMNS)
    takeovers_since_ms bigint,         -- the same
    cost double precision,             -- null: none is known
    credits_cost double precision,     -- the same
    fence integer NOT NULL,
    submission integer NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    sends integer NOT NULL,
    tries integer NOT NULL,
    takeovers integer NOT NULL,
    doubt boolean NOT NULL,
    late boolean NOT NULL,
    billed_open boolean NOT NULL,
    has_cost boolean NOT NULL,
    account text NOT NULL,             -- of the last send: its name, ':', a hash
                                       -- of its URL, ':', one of the key
    generated_ms bigint,               -- the same
    stored_ms bigint,                  -- the same
    settled_ms bigint,                 -- the same; a final end changes it and the
                                       -- next three
    state smallint NOT NULL,           -- 0 queued 1 submitting 2 running 3 ready
                                       -- 4 succeeded 5 failed 6 late 7 closed
    kind smallint NOT NULL,            -- 0 none 1 invalid_request 2 submit_refused
                                       -- 3 moderation 4 provider_failed 5 cancelled
                                       -- 6 timed_out 7 submit_unknown 8 task_lost
                                       -- 9 asset_expired 10 asset_unusable
                                       -- 11 source_failed
    version integer NOT NULL,          -- an id that came: from state to the id
    deadline_ms bigint,                -- null: 0: none, or not yet running
    submitted_ms bigint,               -- null: 0
    provider_task_id text NOT NULL,    -- '': none
    unusable text,                     -- ready: "times since_ms hash" of videos
                                       -- that failed the check; null: none
    source_task_id text,               -- the provider's id of the request that it
                                       -- extends; null: none
    result text,
    event text                         -- packed: event_text(event)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.2);
-- So empty because a row grows by its id and times, and both versions of all rows of a
-- page are to fit: a batch saves them in one transaction, which can't clear its own
-- away. Emptier ones are cleared at each look, and that is logged, too.
CREATE INDEX task_owner ON task (owner) WHERE owner <> 0;
CREATE INDEX task_nobodys ON task (id) WHERE owner <= 0; -- few, and soon somebody's

-- The queue: one row per task that waits to be claimed, with what it keeps of
-- earlier claims (WAITING_COLUMNS). Never updated, and never read as a whole. Of
-- those that wait for the request that they extend no claim takes notice: they are
-- in indexes of their own, and updated once (unblock.sql).
CREATE TABLE waiting (
    id bigint PRIMARY KEY,             -- request.id
    priority smallint NOT NULL,
    fence integer NOT NULL,
    version integer NOT NULL,
    submission integer NOT NULL,
    tries integer NOT NULL,
    received_ms bigint NOT NULL,
    deadline_ms bigint NOT NULL,
    not_before_ms bigint NOT NULL,     -- blocked: since when
    first_sent_ms bigint NOT NULL,     -- in doubt: since when, at the earliest
    last_sent_ms bigint NOT NULL,
    account text NOT NULL,
    doubt boolean NOT NULL DEFAULT false, -- sent before the database was set back,
                                         -- perhaps
    kind smallint NOT NULL DEFAULT 0,  -- how it is to end (task.kind); 0: open
    source text COLLATE "C",           -- blocked: by that request, which may be yet
                                       -- to come; null: it waits for a claim
    pinned text COLLATE "C",           -- the only account that may claim it, by its
                                       -- name; null: any
    source_task_id text,
    attempt integer NOT NULL DEFAULT 0,
    tenant text COLLATE "C",           -- while tenants share (view sharing); null:
                                       -- it came before (share_tag.sql)
    budget text COLLATE "C"            -- put aside: its tenant had no room in a
                                       -- budget when a claim met it (budget_free.sql)
) WITH (autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX waiting_order ON waiting (priority, id)
    WHERE source IS NULL AND pinned IS NULL AND budget IS NULL;
-- A queue for each account that has pinned rows: those of one that is held are in
-- nobody's way.
CREATE INDEX waiting_pinned ON waiting (pinned, priority, id)
    WHERE source IS NULL AND pinned IS NOT NULL AND budget IS NULL;
-- The same by tenants.
CREATE INDEX waiting_tenant ON waiting (tenant, priority DESC, id)
    WHERE source IS NULL AND pinned IS NULL AND tenant IS NOT NULL AND budget IS NULL;
CREATE INDEX waiting_pinned_tenant ON waiting (pinned, tenant, priority DESC, id)
    WHERE source IS NULL AND pinned IS NOT NULL AND tenant IS NOT NULL
        AND budget IS NULL;
CREATE INDEX waiting_budget ON waiting (budget, priority DESC, id)
    WHERE budget IS NOT NULL;
CREATE INDEX waiting_source ON waiting (source, id) WHERE source IS NOT NULL;
CREATE INDEX waiting_blocked ON waiting (not_before_ms) WHERE source IS NOT NULL;
CREATE INDEX waiting_kind ON waiting (id) WHERE kind <> 0;
CREATE INDEX waiting_deadline ON waiting (deadline_ms) WHERE deadline_ms > 0;
CREATE INDEX waiting_doubt ON waiting (first_sent_ms) WHERE doubt;

-- The text of an event, of what its row has: of a completed one the words that most
-- have are a code each, and so is what it says twice (lib/core/event_pack.c, which
-- writes it). Whoever reads an event asks for this. Never changed: what is there has to
-- read the same. What does not begin with a code stands there as it is.
CREATE FUNCTION event_text(event text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $event$
SELECT CASE WHEN starts_with(event, E'\x01') THEN (
    -- Key, time, and that up to the hour, of its own third and ninth line.
    SELECT replace(replace(replace(t,
        E'\x1e', split_part(t, E'\n', 3)),
        E'\u0084', split_part(t, E'\n', 9)),
        E'\x1f', left(split_part(t, E'\n', 9), 14))
    FROM (SELECT
        replace(replace(replace(replace(replace(replace(replace(replace(replace(
        replace(replace(replace(replace(replace(replace(replace(replace(replace(
        replace(replace(replace(replace(replace(replace(replace(replace(replace(
        replace(replace(replace(event,
        E'\x01', E'event/2\nkey '),
        E'\x02', E'\nce_type 26\nvideo.generation.completed\nce_id 36\n'),
        E'\x03', E'\nce_time 24\n'),
        E'\x04', E'\nvalue '),
        E'\x05', E'\n{"request_id":"'),
        E'\x06', '","tenant":"'),
        E'\x07', '","status":"completed","mode":"'),
        E'\x08', '","provider":"apimart","model":"pixverse-v6","account":"'),
        E'\x0b', '","provider_task_id":"'),
        E'\x0c', '","videos":[{"uri":"'),
        E'\x0e', '","bytes":'),
        E'\x0f', ',"sha256":"'),
        E'\x10', '","content_type":"video/mp4","media":{"width":'),
        E'\x11', ',"height":'),
        E'\x12', ',"duration":'),
        E'\x13', ',"frame_rate":'),
        E'\x14', ',"codecs":["'),
        E'\x15', '"],"audio":true}}],"cost":'),
        E'\x16', '"],"audio":false}}],"cost":'),
        E'\x17', ',"credits_cost":'),
        E'\x18', ',"billed":"yes","times":{"received":"'),
        E'\x19', 'Z","submitted":"'),
        E'\x1a', 'Z","generated":"'),
        E'\x1b', 'Z","stored":"'),
        E'\x1c', 'Z","settled":"'),
        E'\x1d', '"},"warnings":[]'),
        E'\u0080', E'\ntraceparent 55\n00-'),
        E'\u0081', ',"metadata":{"'),
        E'\u0082', 'text_to_video'),
        E'\u0083', 'image_to_video') AS t
        OFFSET 0) AS x)
    ELSE event END
$event$;

-- What came to its end. A final end is here from the moment it is settled, event
-- and all, and has a bare key in task until it is told; one that leaves payment
-- open comes here when nothing more is awaited of it.
CREATE TABLE closed (
    LIKE task INCLUDING DEFAULTS,
    closed_ms bigint NOT NULL
        DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    PRIMARY KEY (id)
);
-- By a hash of the provider's id, which is three times as long.
CREATE INDEX closed_provider ON closed (hashtextextended(provider_task_id, 0))
    WHERE provider_task_id <> '';
CREATE INDEX closed_order ON closed (closed_ms);
-- For people who ask what failed, and about a span of time: of failures alone, and
-- of blocks of the table.
CREATE INDEX closed_failed ON closed (id) WHERE kind <> 0;
CREATE INDEX closed_received ON closed USING brin (received_ms)
    WITH (autosummarize = on);

-- Earlier ends of requests: of submissions that an operator ordered again, and of
-- those that opened again, because their id came after all. Without an event, which
-- nobody was told: attempts for which the provider had no room.
CREATE TABLE past (
    LIKE closed INCLUDING DEFAULTS,
    PRIMARY KEY (id, submission, fence)
);
CREATE INDEX past_provider ON past (provider_task_id) WHERE provider_task_id <> '';
CREATE INDEX past_order ON past (closed_ms);

-- The ends that count: one a submission, its last. Days are UTC, the day that a row
-- came to closed. `latency` is where the time from received to settled stands among
-- the bounds, which are those of lib/core/history.h.
CREATE VIEW ended AS
SELECT e.id, e.closed_ms, DATE '1970-01-01' + (e.closed_ms / 86400000)::integer
        AS day,
    coalesce(r.tenant, '') AS tenant, split_part(e.account, ':', 1) AS account,
    r.mode, e.kind,
    CASE WHEN e.has_cost THEN e.cost::numeric ELSE 0 END AS cost,
    CASE WHEN e.has_cost THEN e.credits_cost::numeric ELSE 0 END AS credits,
    width_bucket(e.settled_ms - e.received_ms, ARRAY[
        30000, 60000, 120000, 300000, 600000, 1800000, 3600000, 10800000,
        86400000]::bigint[]) AS latency
FROM (
    SELECT id, closed_ms, account, kind, has_cost, cost, credits_cost,
        received_ms, settled_ms
    FROM closed
    UNION ALL
    SELECT p.id, p.closed_ms, p.account, p.kind, p.has_cost, p.cost,
        p.credits_cost, p.received_ms, p.settled_ms
    FROM past p
    WHERE p.event IS NOT NULL
        AND NOT EXISTS (SELECT FROM closed c
            WHERE c.id = p.id AND c.submission = p.submission)
        AND NOT EXISTS (SELECT FROM task t
            WHERE t.id = p.id AND t.submission = p.submission)
        AND NOT EXISTS (SELECT FROM past o WHERE o.id = p.id
            AND o.submission = p.submission AND o.fence > p.fence)
) e JOIN request r ON r.id = e.id;

-- Ends by day: those that are there, counted once when their day is over; and,
-- behind `pruned`, those that are gone, counted by the statement that took them.
CREATE TABLE stat (
    day date NOT NULL,
    tenant text COLLATE "C" NOT NULL,  -- '': it was faulty
    account text COLLATE "C" NOT NULL, -- its name; '': none was asked
    mode smallint NOT NULL,
    kind smallint NOT NULL,            -- task.kind; 0: completed
    pruned boolean NOT NULL,
    count bigint NOT NULL,
    cost numeric NOT NULL,             -- as far as it is known
    credits numeric NOT NULL,
    latency bigint[] NOT NULL,         -- how many within each bound, and beyond
    PRIMARY KEY (day, tenant, account, mode, kind, pruned)
);

-- Whether what stat has of a day's rows that are there holds.
CREATE TABLE stat_day (
    day date PRIMARY KEY,
    counted_ms bigint NOT NULL         -- when; 0: to be counted again; -1: now
);

-- What tenants may spend in a day or a month, UTC; amounts in millionths of what
-- the provider bills in.
CREATE TABLE budget (
    tenant text COLLATE "C" NOT NULL,  -- '*': all of them together
    period smallint NOT NULL,          -- 0 a day 1 a month
    amount bigint NOT NULL,
    warn integer NOT NULL,             -- percent of it
    guess bigint NOT NULL,             -- what counts for a request without an
                                       -- estimate: the dearest, as it was set
    counted boolean NOT NULL DEFAULT true, -- what was bought before is in its sums;
                                       -- until then nothing fits
    PRIMARY KEY (tenant, period)
);

-- For whom requests may wait for want of room, in words; '*': whoever has no budget of
-- its own.
CREATE VIEW budget_words AS
SELECT t.tenant, min(p.until) * 86400000::bigint AS next_ms,
    'its requests wait for room in a budget: ' || string_agg(
        trim_scale(b.amount / 1000000.0)
            || CASE WHEN b.period = 0 THEN ' a day' ELSE ' a month' END
            || CASE WHEN b.tenant = '*' THEN ' for all tenants' ELSE '' END
            || CASE WHEN b.counted THEN '' ELSE ' (what was spent of it is not counted '
                || 'yet, and until then nothing fits: pixverse-ctl budget set, once more)'
                END, ', '
        ORDER BY b.tenant DESC, b.period)
        || '; the next period begins at ' || to_char(
            to_timestamp(min(p.until) * 86400) AT TIME ZONE 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS"Z"')
        || ' (pixverse-ctl budget list)' AS message
FROM (SELECT DISTINCT tenant FROM budget) t
JOIN budget b ON b.tenant = t.tenant OR b.tenant = '*'
CROSS JOIN LATERAL (
    SELECT (date_trunc(CASE WHEN b.period = 0 THEN 'day' ELSE 'month' END,
            clock_timestamp() AT TIME ZONE 'UTC')
        + CASE WHEN b.period = 0 THEN INTERVAL '1 day' ELSE INTERVAL '1 month' END
        )::date - DATE '1970-01-01' AS until
) p
GROUP BY t.tenant;

-- What submissions of tenants with a budget mean for it (spending.sql): written by
-- the claim, moved with the row. What is settled for good is added to spent soon.
CREATE TABLE money (
    task bigint NOT NULL,
    submission integer NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    day integer NOT NULL,              -- of the claim, UTC, since 1970-01-01
    state smallint NOT NULL,           -- 0 nothing 1 reserved 2 doubtful 3 spent
                                       -- 4 assumed
    estimate bigint NOT NULL,
    amount bigint NOT NULL,            -- that counts
    PRIMARY KEY (task, submission)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX money_tenant ON money (tenant, day);

-- The sum of what was settled, by tenant and period; '*': of all of them.
CREATE TABLE spent (
    tenant text COLLATE "C" NOT NULL,
    period smallint NOT NULL,
    since integer NOT NULL,            -- its first day
    amount bigint NOT NULL,
    estimate bigint NOT NULL,          -- what it was estimated to be
    PRIMARY KEY (tenant, period, since)
);

-- What an operator ordered to cancel and has not ended.
CREATE TABLE cancel (
    task bigint PRIMARY KEY,
    ordered_ms bigint NOT NULL
        DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
) WITH (autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- Orders to cancel that came before their request, each for 24 hours: the request
-- of that tenant has a row in cancel from its first moment, so that nobody claims it.
CREATE TABLE early_cancel (
    request_id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    kept_ms bigint NOT NULL,           -- when it came, the last time
    PRIMARY KEY (request_id, tenant)
);

-- Requests of which it is still to be told that they were taken in: written by the
-- intake's statement where ACCEPTED_EVENTS is on, gone once the broker has it.
CREATE TABLE accepted (
    id bigint PRIMARY KEY,             -- request.id
    owner bigint NOT NULL              -- lease.id of who tells it, while that lives
) WITH (autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE lease (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    counter bigint NOT NULL DEFAULT 0,
    dead boolean NOT NULL DEFAULT false,
    tasks_max integer NOT NULL,
    tasks integer NOT NULL DEFAULT 0,  -- in flight, as its worker last said
    places integer,                    -- under GENERATIONS_MAX; null: none taken
    bumped_ms bigint NOT NULL          -- the last bump
        DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    accounts text[] NOT NULL,          -- that it polls and replays for, as
                                       -- task.account names them
    slots integer[] NOT NULL DEFAULT '{}', -- of each of these; 0: no limit
    admin text NOT NULL DEFAULT '',    -- host:port of its /task; '': none
    shares boolean NOT NULL DEFAULT false, -- TENANT_FAIRNESS
    started_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- What an operator says of tenants: their part of what is submitted, and how many
-- slots they may occupy. All others have weight 1 and no cap.
CREATE TABLE tenant (
    name text COLLATE "C" PRIMARY KEY,
    weight integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
    slots integer CHECK (slots BETWEEN 1 AND 1000000) -- null: no cap
);

-- Whether the queue is by tenant: from the first that has a row on, or because a
-- worker is set so.
CREATE VIEW sharing AS
SELECT EXISTS (SELECT FROM tenant)
    OR EXISTS (SELECT FROM lease WHERE shares AND NOT dead) AS "on";

-- What each worker has in SUBMITTING and RUNNING, as it knew with its last claim or
-- beat, and what it has claimed since: never less than there is. Of the dead their
-- rows in task tell. Empty while nobody shares.
CREATE TABLE lease_use (
    lease bigint NOT NULL,
    account text COLLATE "C" NOT NULL, -- its name
    tenant text COLLATE "C" NOT NULL,  -- '': this worker claims by shares
    n integer NOT NULL,
    PRIMARY KEY (tenant, lease, account)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- What each worker does at present, as it last said: for people, every 10 s.
CREATE TABLE vitals (
    lease bigint PRIMARY KEY,
    at_ms bigint NOT NULL,             -- when it said so
    version text NOT NULL,
    draining boolean NOT NULL,
    paused boolean NOT NULL,           -- it reads no more requests for now
    span_ms bigint NOT NULL,           -- since it said so before; 0: the first
    states bigint[] NOT NULL,          -- its tasks, by state
    slots bigint[] NOT NULL,           -- submissions, the most; transfers, the most
    counts bigint[] NOT NULL,          -- in span_ms: requests received, accepted
                                       -- upstream, polls, completed, failed
    late_ms bigint NOT NULL            -- how long something has been due
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- Submissions stopped for a stated reason.
CREATE TABLE hold (
    reason text NOT NULL,              -- auth balance channel storage account operator
    scope text NOT NULL,               -- account, bucket, task id or '*'
    since_ms bigint NOT NULL,
    next_try_ms bigint NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (reason, scope)
);

-- Why one task has waited for more than half a minute: its owner's words. What
-- flows has no row. It speaks of the task's row as long as fence and state are
-- those that it names.
CREATE TABLE reason (
    task bigint PRIMARY KEY,
    fence integer NOT NULL,
    state smallint NOT NULL,
    word text NOT NULL,                -- what came of the last try
    since_ms bigint NOT NULL,          -- the first try that came to nothing
    tries integer NOT NULL,
    answer text NOT NULL,              -- the last, in words
    next_ms bigint NOT NULL            -- the next try
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- Why many tasks of one worker wait: one row a reason.
CREATE TABLE shared_reason (
    owner bigint NOT NULL,             -- lease.id
    word text NOT NULL,
    since_ms bigint NOT NULL,
    tries integer NOT NULL,
    answer text NOT NULL,
    next_ms bigint NOT NULL,           -- 0: when room comes
    PRIMARY KEY (owner, word)
) WITH (fillfactor = 50);

-- One row: the fleet, as last counted.
CREATE TABLE fleet (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    queued bigint NOT NULL DEFAULT 0,
    in_flight bigint NOT NULL DEFAULT 0,
    blocked bigint NOT NULL DEFAULT 0, -- waiting rows that wait for another request,
                                       -- a budget or an account that is held
    blocked_most text NOT NULL DEFAULT '', -- what most of them wait for, in words
    counted_ms bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
INSERT INTO fleet DEFAULT VALUES;

-- As live workers buy: each by the first key that it has of a name. What is held of
-- it is held for all workers.
CREATE VIEW buyer AS
SELECT a.lease, a.account, a.name, EXISTS (
        SELECT FROM hold h WHERE h.scope = a.account
            AND h.reason IN ('auth', 'balance', 'channel')) AS held
FROM (
    SELECT DISTINCT ON (l.id, split_part(o.account, ':', 1))
        l.id AS lease, o.account, split_part(o.account, ':', 1) AS name
    FROM lease l, unnest(l.accounts) WITH ORDINALITY AS o (account, at)
    WHERE NOT l.dead
    ORDER BY l.id, split_part(o.account, ':', 1), o.at
) a;

-- Holds for people: without those of a key or URL by which nobody buys any more.
-- Nobody probes these either, so their rows stay until somebody has that key again.
CREATE VIEW standing_hold AS
SELECT h.reason, h.scope, h.since_ms, h.next_try_ms, h.message
FROM hold h
WHERE h.reason NOT IN ('auth', 'balance', 'channel')
    OR h.scope IN (SELECT account FROM buyer);

-- Accounts that have requests of their own waiting (waiting.pinned), and may not be
-- sent them now, in words.
CREATE VIEW pinned_held AS
WITH RECURSIVE who AS (
    (SELECT pinned FROM waiting
        WHERE pinned IS NOT NULL AND source IS NULL AND budget IS NULL
        ORDER BY pinned LIMIT 1)
    UNION ALL
    SELECT (SELECT w.pinned FROM waiting w
        WHERE w.pinned > who.pinned AND w.source IS NULL AND w.budget IS NULL
        ORDER BY w.pinned LIMIT 1)
    FROM who WHERE who.pinned IS NOT NULL
), live AS MATERIALIZED (
    SELECT DISTINCT account, name, held FROM buyer
)
SELECT who.pinned AS account, h.reason, h.since_ms,
    'waits for account ' || who.pinned || ', which has what it extends: '
        || coalesce('hold ' || h.reason || ': ' || h.message,
            'no live worker has that account') AS message
FROM who LEFT JOIN LATERAL (
    SELECT o.reason, o.since_ms, o.message
    FROM hold o JOIN live ON live.account = o.scope
    WHERE o.reason IN ('auth', 'balance', 'channel') AND live.name = who.pinned
        AND NOT EXISTS ( -- of whom it may still be bought
            SELECT FROM live v WHERE v.name = who.pinned AND NOT v.held)
    ORDER BY o.since_ms, o.reason LIMIT 1
) h ON true
WHERE who.pinned IS NOT NULL AND (h.reason IS NOT NULL
    OR NOT EXISTS (SELECT FROM live WHERE live.name = who.pinned));

-- Every account that a worker ever had, under each of its keys, as task.account
-- names them, and what it said of idempotency keys.
CREATE TABLE account (
    account text PRIMARY KEY,
    keys_answer integer NOT NULL,
    retention_ms bigint NOT NULL,
    answered_ms bigint NOT NULL,
    since_ms bigint NOT NULL           -- when the first worker had it
        DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
);

-- Where an account is, by its name: who has another URL for it submits nothing
-- there. pixverse-ctl account move changes it.
-- And how many generations at once the provider was seen to take of it.
CREATE TABLE account_url (
    name text PRIMARY KEY,
    url text NOT NULL,
    slots_learnt integer NOT NULL DEFAULT 0, -- 0: as many as are set
    slots_of integer NOT NULL DEFAULT 0,     -- so many were set then
    refused_ms bigint NOT NULL DEFAULT 0,    -- the last decrease
    learnt_ms bigint NOT NULL DEFAULT 0      -- the last change
);

-- Rejected messages that an operator had judged once more. A topic that is made
-- anew begins at offset 0 again: the time tells them apart.
CREATE TABLE replayed (
    topic text NOT NULL,
    partition integer NOT NULL,
    message_offset bigint NOT NULL,
    produced_ms bigint NOT NULL,
    replayed_ms bigint NOT NULL
        DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    PRIMARY KEY (topic, partition, message_offset, produced_ms)
);

-- One row: this schema's number, and the oldest program that may run on it. The
-- salt of this database's idempotency keys is made once and never replaced: what
-- was sent under another one would be bought again.
CREATE TABLE meta (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    number integer NOT NULL,
    program_min integer NOT NULL,
    salt bytea NOT NULL CHECK (octet_length(salt) = 32),
    rewound_ms bigint NOT NULL DEFAULT 0, -- pixverse-ctl rewind; 0: never
    known_from_ms bigint NOT NULL DEFAULT 0, -- ids not seen since are forgotten: an
                                       -- older message of none that is known may
                                       -- have been bought. Never set back
    known_moved_ms bigint NOT NULL DEFAULT 0 -- when that was last moved
);
-- Three UUIDs bring 366 random bits: no extension is needed.
INSERT INTO meta (number, program_min, salt)
SELECT 2, 2, sha256(convert_to(string_agg(gen_random_uuid()::text, ''), 'UTF8'))
FROM generate_series(1, 3);
