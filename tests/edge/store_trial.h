#ifndef TESTS_EDGE_STORE_TRIAL_H
#define TESTS_EDGE_STORE_TRIAL_H

/* What the tests of the store share: a database of its own for each test, a
 * loop that turns until something is there, and calls that wait for their
 * answer. TEST_DATABASE_URL names the server; without it, the tests fail. */

#include "core/idempotency.h"
#include "edge/schema.h"
#include "edge/store.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/check.h"

#define TRIAL_LIMIT_MS 60000
#define TRIAL_LEASE_MS 20000 /* a machine may stand still for some seconds */
#define TRIAL_ACCOUNT "trial:0123456789abcdef:fedcba9876543210"
#define TRIAL_URL "https://trial.example"
#define TRIAL_NOW INT64_C(1800000000000)
/* Of a task's row, but for its texts. */
#define TRIAL_TASK_COLUMNS                                                     \
    "id, state, owner, fence, version, submission, sends, doubt, late, "       \
    "billed_open, account, provider_task_id, received_ms, deadline_ms, "       \
    "first_sent_ms, last_sent_ms, submitted_ms, generated_ms, stored_ms, "     \
    "settled_ms, not_before_ms, tries, takeovers, takeovers_since_ms, kind, "  \
    "has_cost, cost, credits_cost"

struct trial {
    char name[64];
    char url[1000];
    PGconn *conn; /* to look with */
    struct loop *loop;
    struct loop_timer *limit;
    struct store *store;
    struct arena arena; /* of copies of results */
    bool up;
    bool misfit;
    int downs;
    char why[300];
};

static inline void trial_conninfo(const char *name, char *out, size_t bytes)
{
    const char *given = getenv("TEST_DATABASE_URL");
    if (!given || !*given) {
        fail_msg("TEST_DATABASE_URL is not set");
    }
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(given, &message);
    assert_non_null(options);
    int len = 0;
    for (PQconninfoOption *at = options; at->keyword; at++) {
        if (at->val && strcmp(at->keyword, "dbname") != 0) {
            len += snprintf(out + len, bytes - (size_t)len, "%s='%s' ",
                            at->keyword, at->val);
        }
    }
    snprintf(out + len, bytes - (size_t)len, "dbname='%s'", name);
    PQconninfoFree(options);
}

/** PostgreSQL gives sessions that it has ended 5 s to go, and then refuses. */
static inline PGresult *trial_admin_tried(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    for (int i = 0; i < 10; i++) {
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        if (!state || strcmp(state, "55006") != 0) {
            break;
        }
        PQclear(result);
        result = PQexec(conn, sql);
    }
    return result;
}

static inline void trial_admin(const char *verb, const char *name,
                               const char *rest)
{
    char sql[300];
    snprintf(sql, sizeof sql, "%s DATABASE %s%s", verb, name, rest);
    PGconn *conn = PQconnectdb(getenv("TEST_DATABASE_URL"));
    PGresult *result = trial_admin_tried(conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    }
    PQclear(result);
    PQfinish(conn);
}

/** Runs SQL beside the store; the first value, or "". Valid until the next. */
static inline const char *trial_sql(struct trial *trial, const char *format,
                                    ...) __attribute__((format(printf, 2, 3)));

static inline const char *trial_sql(struct trial *trial, const char *format,
                                    ...)
{
    static char value[4000];
    char sql[4000];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    PGresult *result = PQexec(trial->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(trial->conn));
    }
    bool some = PQntuples(result) > 0;
    snprintf(value, sizeof value, "%s", some ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

static inline int64_t trial_number(struct trial *trial, const char *sql)
{
    return strtoll(trial_sql(trial, "%s", sql), NULL, 10);
}

/** The process id of a backend that waits for a lock of trial->conn, or 0.
 * The list of locks is that of all databases: other tests' waits are in it. */
static inline int64_t trial_waiter(struct trial *trial)
{
    return trial_number(
        trial, "SELECT coalesce(min(pid), 0) FROM pg_locks WHERE NOT granted "
               "AND pg_backend_pid() = ANY (pg_blocking_pids(pid))");
}

static inline void trial_out_of_time(void *context)
{
    (void)context;
    fail_msg("nothing came within %d ms", TRIAL_LIMIT_MS);
}

/** Turns until who was asked calls loop_stop(). */
static inline void trial_wait(struct trial *trial)
{
    loop_timer_set(trial->limit, TRIAL_LIMIT_MS);
    loop_run(trial->loop);
    loop_timer_stop(trial->limit);
}

static inline void trial_on_state(void *context, bool up, const char *why,
                                  bool misfit)
{
    struct trial *trial = context;
    trial->up = up;
    trial->misfit = misfit;
    trial->downs += !up;
    snprintf(trial->why, sizeof trial->why, "%s", why);
    loop_stop(trial->loop);
}

static inline void trial_create(struct trial *trial)
{
    static int number;
    *trial = (struct trial){0};
    snprintf(trial->name, sizeof trial->name, "pixverse_trial_%d_%d",
             (int)getpid(), ++number);
    trial_conninfo(trial->name, trial->url, sizeof trial->url);
    trial_admin("CREATE", trial->name, "");
    trial->conn = PQconnectdb(trial->url);
    assert_int_equal(PQstatus(trial->conn), CONNECTION_OK);
    struct err err = {0};
    trial->loop = loop_open(&err);
    assert_non_null(trial->loop);
    trial->limit = loop_timer_new(trial->loop, trial_out_of_time, trial);
    arena_init(&trial->arena, 65536, 0);
}

static inline struct store *trial_open_store_for(struct trial *trial,
                                                 int64_t lease_ms)
{
    struct err err = {0};
    const struct store_options options = {
        .url = trial->url, .name = "trial", .lease_ms = lease_ms};
    struct store *store =
        store_open(trial->loop, &options, trial_on_state, trial, &err);
    assert_non_null(store);
    return store;
}

static inline struct store *trial_open_store(struct trial *trial)
{
    return trial_open_store_for(trial, TRIAL_LEASE_MS);
}

static inline void trial_wait_up(struct trial *trial)
{
    while (!store_is_up(trial->store)) {
        trial_wait(trial);
    }
}

static inline int trial_setup(void **state)
{
    struct trial *trial = malloc(sizeof *trial);
    struct err err = {0};
    assert_non_null(trial);
    trial_create(trial);
    bool done = false;
    for (int i = 0; i < 10 && !done; i++) { /* its connection has 5 s */
        done = schema_migrate(trial->url, NULL, NULL, &err);
    }
    if (!done) {
        fail_msg("%s", err.text);
    }
    trial->store = trial_open_store(trial);
    trial_wait_up(trial);
    trial->downs = 0; /* it may have come up at the second try */
    *state = trial;
    return 0;
}

/** The same where the database's day counts: not in the last minute of one. */
static inline int trial_setup_in_a_day(void **state)
{
    trial_setup(state);
    while (trial_number(*state,
                        "SELECT floor(extract(epoch FROM "
                        "clock_timestamp()))::bigint % 86400 / 60") == 1439) {
        (void)usleep(1000000);
    }
    return 0;
}

static inline int trial_teardown(void **state)
{
    struct trial *trial = *state;
    store_close(trial->store);
    loop_timer_free(trial->limit);
    loop_close(trial->loop);
    PQfinish(trial->conn);
    trial_admin("DROP", trial->name, " WITH (FORCE)");
    arena_done(&trial->arena);
    free(trial);
    return 0;
}

/* ---- calls that wait ---- */

struct trial_answer {
    struct trial *trial;
    struct err err;
    int64_t id;
    bool done;
    struct intake_result intake;
    struct turn_result turn;
    struct beat_result beat;
    struct count_result count;
    enum learn_end learnt;
    char other[PROVIDER_TASK_ID_BYTES];
    bool came; /* it was, since somebody waited for it */
};

/** A connection that is lost, or back, stops the loop, too. */
static inline void trial_await(struct trial_answer *answer)
{
    while (!answer->came) {
        trial_wait(answer->trial);
    }
    answer->came = false;
}

static inline void trial_take_err(struct trial_answer *answer,
                                  const struct err *err)
{
    if (err) {
        answer->err = *err;
    }
    answer->came = true;
    loop_stop(answer->trial->loop);
}

static inline void trial_on_id(void *context, int64_t id, const struct err *err)
{
    struct trial_answer *answer = context;
    answer->id = id;
    trial_take_err(answer, err);
}

static inline void trial_on_done(void *context, bool done,
                                 const struct err *err)
{
    struct trial_answer *answer = context;
    answer->done = done;
    trial_take_err(answer, err);
}

static inline void trial_on_learnt(void *context, enum learn_end end,
                                   const char *other, const struct err *err)
{
    struct trial_answer *answer = context;
    answer->learnt = end;
    answer->done = !err && end == LEARN_WRITTEN;
    snprintf(answer->other, sizeof answer->other, "%s", other ? other : "");
    trial_take_err(answer, err);
}

/** A lease of that name with the one account. */
static inline struct join trial_lease(const char *name)
{
    static const struct join_account account = {
        .account = TRIAL_ACCOUNT,
        .name = {"trial", 5},
        .url = {TRIAL_URL, sizeof TRIAL_URL - 1}};
    return (struct join){.name = name,
                         .tasks_max = 100,
                         .admin = "192.0.2.7:9464",
                         .accounts = &account,
                         .accounts_len = 1};
}

static inline int64_t trial_join(struct trial *trial)
{
    struct trial_answer answer = {.trial = trial};
    const struct join join = trial_lease("trial");
    store_join(trial->store, &join, trial_on_id, &answer);
    trial_await(&answer);
    assert_int_equal(answer.err.kind, ERR_NONE);
    assert_true(answer.id > 0);
    return answer.id;
}

static inline bool trial_bury_at(struct trial *trial, int64_t lease,
                                 int64_t counter)
{
    struct trial_answer answer = {.trial = trial};
    store_bury(trial->store, lease, counter, trial_on_done, &answer);
    trial_await(&answer);
    return answer.done;
}

static inline void trial_on_count(void *context,
                                  const struct count_result *result)
{
    struct trial_answer *answer = context;
    answer->count = *result;
    trial_take_err(answer, &result->err);
}

static inline struct count_result trial_count(struct trial *trial, bool xmin)
{
    struct trial_answer answer = {.trial = trial};
    store_count(trial->store, xmin, trial_on_count, &answer);
    trial_await(&answer);
    assert_int_equal(answer.err.kind, ERR_NONE);
    return answer.count;
}

/** Where it stands now. */
static inline bool trial_bury(struct trial *trial, int64_t lease)
{
    char ask[100];
    snprintf(ask, sizeof ask,
             "SELECT coalesce(max(counter), 0) FROM lease WHERE id = %lld",
             (long long)lease);
    return trial_bury_at(trial, lease, trial_number(trial, ask));
}

static inline void *trial_copy(struct trial *trial, const void *bytes,
                               size_t len)
{
    return arena_copy(&trial->arena, len ? bytes : "", len);
}

static inline void trial_on_intake(void *context,
                                   const struct intake_result *result)
{
    struct trial_answer *answer = context;
    answer->intake = *result;
    answer->intake.verdicts =
        trial_copy(answer->trial, result->verdicts,
                   result->len * sizeof *result->verdicts);
    trial_take_err(answer, &result->err);
}

static inline struct intake_result
trial_intake_from(struct trial *trial, int64_t known_from_ms,
                  const struct intake_row *rows, size_t len)
{
    struct trial_answer answer = {.trial = trial};
    store_intake(trial->store, 0, known_from_ms, rows, len, trial_on_intake,
                 &answer);
    trial_await(&answer);
    return answer.intake;
}

static inline struct intake_result
trial_intake(struct trial *trial, const struct intake_row *rows, size_t len)
{
    return trial_intake_from(trial, 0, rows, len);
}

/** A good request; its content is that of its id. */
static inline struct intake_row trial_request(struct trial *trial, int number)
{
    char *id = arena_printf(&trial->arena, "r-%05d", number);
    struct intake_row row = {
        .request_id = str_of(id),
        .tenant = STR("default"),
        .mode = MODE_TEXT,
        .priority = 5,
        .metadata = STR("{\"a\":\"b\\\\c\"}"),
        .warnings = STR("[]"),
        .traceparent = STR("00-1-2-01"),
        .body = STR("{\"prompt\":\"a \\\"quoted\\\" word, {braces}\"}"),
        .received_ms = TRIAL_NOW,
        .price = PRICE_UNKNOWN,
    };
    snprintf((char *)row.content, sizeof row.content, "%s", id);
    return row;
}

static inline int64_t trial_id(struct trial *trial, struct str request_id)
{
    return strtoll(trial_sql(trial,
                             "SELECT id FROM request WHERE request_id = '%.*s'",
                             (int)request_id.len, request_id.at),
                   NULL, 10);
}

/** Stores `len` good requests named r-0…; returns their ids. */
static inline const int64_t *trial_requests(struct trial *trial, int len)
{
    struct intake_row *rows =
        arena_alloc(&trial->arena, (size_t)len * sizeof *rows);
    for (int i = 0; i < len; i++) {
        rows[i] = trial_request(trial, i);
    }
    struct intake_result result = trial_intake(trial, rows, (size_t)len);
    assert_int_equal(result.err.kind, ERR_NONE);
    int64_t *ids = arena_alloc(&trial->arena, (size_t)len * sizeof *ids);
    for (int i = 0; i < len; i++) {
        ids[i] = trial_id(trial, rows[i].request_id);
    }
    return ids;
}

static inline char *trial_copy_text(struct trial *trial, const char *text)
{
    return text ? arena_copy(&trial->arena, text, strlen(text)) : NULL;
}

static inline struct str trial_copy_str(struct trial *trial, struct str text)
{
    return text.at ? (struct str){arena_copy(&trial->arena, text.at, text.len),
                                  text.len}
                   : text;
}

static inline struct task_read *
trial_copy_reads(struct trial *trial, const struct task_read *reads, size_t len)
{
    struct task_read *copies = trial_copy(trial, reads, len * sizeof *reads);
    for (size_t i = 0; i < len; i++) {
        copies[i].row.source_task_id =
            trial_copy_text(trial, reads[i].row.source_task_id);
        copies[i].row.result = trial_copy_text(trial, reads[i].row.result);
        copies[i].row.event = trial_copy_text(trial, reads[i].row.event);
        copies[i].request_id = trial_copy_str(trial, reads[i].request_id);
        copies[i].tenant = trial_copy_str(trial, reads[i].tenant);
    }
    return copies;
}

static inline struct facts_row *
trial_copy_facts(struct trial *trial, const struct facts_row *facts, size_t len)
{
    struct facts_row *copies = trial_copy(trial, facts, len * sizeof *facts);
    for (size_t i = 0; i < len; i++) {
        struct str *texts[] = {
            &copies[i].body,
            &copies[i].content,
            &copies[i].salt,
            &copies[i].facts.metadata,
            &copies[i].facts.request_id,
            &copies[i].facts.tenant,
            &copies[i].facts.warnings,
            &copies[i].facts.traceparent,
            &copies[i].facts.tracestate,
        };
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            *texts[t] = trial_copy_str(trial, *texts[t]);
        }
    }
    return copies;
}

static inline void trial_on_turn(void *context,
                                 const struct turn_result *result)
{
    struct trial_answer *answer = context;
    struct trial *trial = answer->trial;
    struct turn_result *out = &answer->turn;
    size_t saves_len = (size_t)answer->id;
    *out = *result;
    trial_take_err(answer, &result->err);
    if (result->err.kind != ERR_NONE) {
        return;
    }
    out->saves =
        trial_copy(trial, result->saves, saves_len * sizeof *result->saves);
    out->facts = trial_copy_facts(trial, result->facts, result->facts_len);
    out->claimed_facts =
        trial_copy_facts(trial, result->claimed_facts, result->claimed_len);
    out->rereads =
        trial_copy_reads(trial, result->rereads, result->rereads_len);
    out->claimed =
        trial_copy_reads(trial, result->claimed, result->claimed_len);
    out->adopted =
        trial_copy_reads(trial, result->adopted, result->adopted_len);
    out->expired =
        trial_copy_reads(trial, result->expired, result->expired_len);
    out->mine = trial_copy_reads(trial, result->mine, result->mine_len);
    out->dead =
        trial_copy(trial, result->dead, result->dead_len * sizeof *out->dead);
}

/** As store_turn(); results live as long as the trial. */
static inline struct turn_result trial_turn(struct trial *trial,
                                            struct turn turn)
{
    struct trial_answer answer = {.trial = trial};
    answer.id = (int64_t)turn.saves_len;
    turn.now_ms = turn.now_ms ? turn.now_ms : TRIAL_NOW + 1000;
    turn.account = turn.account ? turn.account : TRIAL_ACCOUNT;
    turn.bucket = turn.bucket ? turn.bucket : "bucket";
    store_turn(trial->store, &turn, trial_on_turn, &answer);
    trial_await(&answer);
    return answer.turn;
}

/** The same, and it must work. */
static inline struct turn_result trial_good_turn(struct trial *trial,
                                                 struct turn turn)
{
    struct turn_result result = trial_turn(trial, turn);
    if (result.err.kind != ERR_NONE) {
        fail_msg("%s", result.err.text);
    }
    return result;
}

/** Saves one row with the next version; *row is what was sent. */
static inline enum save_end trial_save(struct trial *trial, int64_t owner,
                                       struct task_row *row)
{
    row->version++;
    const struct task_row *rows[] = {row};
    struct turn_result result = trial_good_turn(
        trial, (struct turn){.owner = owner, .saves = rows, .saves_len = 1});
    return result.saves[0];
}

/** One claimed row. */
static inline struct task_row trial_claim_one(struct trial *trial,
                                              int64_t owner)
{
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = owner, .claims_max = 1});
    assert_int_equal(result.claimed_len, 1);
    return result.claimed[0].row;
}

static inline void trial_on_beat(void *context,
                                 const struct beat_result *result)
{
    struct trial_answer *answer = context;
    struct trial *trial = answer->trial;
    answer->beat = *result;
    answer->beat.leases = trial_copy(
        trial, result->leases, result->leases_len * sizeof *result->leases);
    struct hold_row *holds = trial_copy(
        trial, result->holds, result->holds_len * sizeof *result->holds);
    for (size_t i = 0; i < result->holds_len; i++) {
        holds[i].scope = trial_copy_str(trial, holds[i].scope);
        holds[i].message = trial_copy_str(trial, holds[i].message);
    }
    answer->beat.holds = holds;
    struct account_row *accounts =
        trial_copy(trial, result->accounts,
                   result->accounts_len * sizeof *result->accounts);
    for (size_t i = 0; i < result->accounts_len; i++) {
        accounts[i].account = trial_copy_str(trial, accounts[i].account);
        accounts[i].url = trial_copy_str(trial, accounts[i].url);
    }
    answer->beat.accounts = accounts;
    trial_take_err(answer, &result->err);
}

/** One with a database of its own, and a store that is connected to it. */
#define TEST(name) TEST_CASE_WITH(name, trial_setup, trial_teardown)

#endif
