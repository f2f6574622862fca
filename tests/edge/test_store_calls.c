/* wraps: PQconnectStartParams PQconnectPoll PQsetnonblocking */
/* wraps: PQenterPipelineMode */
/* wraps: PQsendQueryPrepared PQsendQueryParams PQsendPrepare PQpipelineSync */
/* wraps: PQflush PQconsumeInput PQgetResult uv_poll_init uv_poll_start */
#include "edge/calls.h"
#include "edge/store_trial.h"

#include <uv.h>

/*
 * Each call of libpq's, and those of libuv's that watch its sockets, fails at
 * each of some times, while a task is stored, claimed, saved and closed by
 * somebody who does what the engine does. It is claimed once and told once.
 */

/* clang-format off */
WRAP(PGconn *, PQconnectStartParams, NULL,
     (const char *const *keys, const char *const *values, int expand),
     (keys, values, expand))
WRAP(PostgresPollingStatusType, PQconnectPoll, PGRES_POLLING_FAILED,
     (PGconn *conn), (conn))
WRAP(int, PQsetnonblocking, -1, (PGconn *conn, int on), (conn, on))
WRAP(int, PQenterPipelineMode, 0, (PGconn *conn), (conn))
WRAP(int, PQsendQueryPrepared, 0,
     (PGconn *conn, const char *name, int len, const char *const *values,
      const int *lengths, const int *formats, int format),
     (conn, name, len, values, lengths, formats, format))
WRAP(int, PQsendQueryParams, 0,
     (PGconn *conn, const char *text, int len, const Oid *types,
      const char *const *values, const int *lengths, const int *formats,
      int format),
     (conn, text, len, types, values, lengths, formats, format))
WRAP(int, PQsendPrepare, 0,
     (PGconn *conn, const char *name, const char *text, int len,
      const Oid *types),
     (conn, name, text, len, types))
WRAP(int, PQpipelineSync, 0, (PGconn *conn), (conn))
WRAP(int, PQflush, -1, (PGconn *conn), (conn))
WRAP(int, PQconsumeInput, 0, (PGconn *conn), (conn))
WRAP(PGresult *, PQgetResult, NULL, (PGconn *conn), (conn))
WRAP(int, uv_poll_init, UV_EMFILE, (uv_loop_t *loop, uv_poll_t *poll, int fd),
     (loop, poll, fd))
WRAP(int, uv_poll_start, UV_EBADF, (uv_poll_t *poll, int events, uv_poll_cb fn),
     (poll, events, fn))
/* clang-format on */

static const char *const calls[] = {
    "PQconnectStartParams", "PQconnectPoll",       "PQsetnonblocking",
    "PQenterPipelineMode",  "PQsendQueryPrepared", "PQsendQueryParams",
    "PQsendPrepare",        "PQpipelineSync",      "PQflush",
    "PQconsumeInput",       "PQgetResult",         "uv_poll_init",
    "uv_poll_start",
};

/* The first ones are of the greeting, of either lane. */
static const int times[] = {1, 2, 4, 7, 12, 20, 33, 57};

#define TRIES_MAX 40

static void on_state(void *context, bool up, const char *why, bool misfit)
{
    (void)up;
    (void)why;
    struct trial *trial = context;
    trial->misfit = trial->misfit || misfit;
}

static void stop(void *context)
{
    loop_stop(context);
}

static void wait_up(struct trial *trial)
{
    for (int i = 0; i < 6000 && !store_is_up(trial->store); i++) {
        struct loop_timer *timer =
            loop_timer_new(trial->loop, stop, trial->loop);
        loop_timer_set(timer, 10);
        loop_run(trial->loop);
        loop_timer_free(timer);
    }
    assert_true(store_is_up(trial->store));
}

static int64_t join(struct trial *trial)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        wait_up(trial);
        struct trial_answer answer = {.trial = trial};
        const struct join lease = trial_lease("trial");
        store_join(trial->store, &lease, trial_on_id, &answer);
        trial_wait(trial);
        if (answer.err.kind == ERR_NONE) {
            return answer.id;
        }
        assert_true(answer.err.text[0]);
    }
    fail_msg("no lease");
    return 0;
}

static void take_in(struct trial *trial, int number)
{
    const struct intake_row row = trial_request(trial, number);
    for (int i = 0; i < TRIES_MAX; i++) {
        wait_up(trial);
        struct intake_result result = trial_intake(trial, &row, 1);
        if (result.err.kind == ERR_NONE) {
            assert_true(result.verdicts[0] == INTAKE_NEW ||
                        (i > 0 && result.verdicts[0] == INTAKE_REPEAT));
            return;
        }
        assert_int_equal(result.err.kind, ERR_TRANSIENT);
    }
    fail_msg("not stored");
}

/** What is ours now, asked until it is answered. */
static bool read_mine(struct trial *trial, int64_t owner, struct task_row *row)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        wait_up(trial);
        struct turn_result result =
            trial_turn(trial, (struct turn){.owner = owner, .mine = true});
        if (result.err.kind == ERR_NONE) {
            if (result.mine_len) {
                *row = result.mine[0].row;
            }
            return result.mine_len > 0;
        }
    }
    fail_msg("what is ours is not told");
    return false;
}

static struct task_row claim(struct trial *trial, int64_t owner)
{
    struct task_row row = {0};
    for (int i = 0; i < TRIES_MAX; i++) {
        wait_up(trial);
        struct turn_result result =
            trial_turn(trial, (struct turn){.owner = owner, .claims_max = 1});
        if (result.err.kind == ERR_NONE && result.claimed_len) {
            return result.claimed[0].row;
        }
        if (result.err.kind != ERR_NONE && read_mine(trial, owner, &row)) {
            return row;
        }
    }
    fail_msg("not claimed");
    return row;
}

static void save(struct trial *trial, int64_t owner, struct task_row *row,
                 enum task_state state)
{
    row->state = state;
    row->version++;
    const struct task_row *rows[] = {row};
    for (int i = 0; i < TRIES_MAX; i++) {
        wait_up(trial);
        struct turn_result result = trial_turn(
            trial,
            (struct turn){.owner = owner, .saves = rows, .saves_len = 1});
        struct task_row there = {0};
        if (result.err.kind == ERR_NONE) {
            assert_int_equal(result.saves[0], SAVE_DONE);
            return;
        }
        bool is_there = read_mine(trial, owner, &there);
        if (is_there ? there.version == row->version : state == CLOSED) {
            return;
        }
        assert_true(is_there);
    }
    fail_msg("not saved");
}

/** One order, one task; whether the call was made that often. */
static bool one(struct trial *trial, const char *call, int nth, int number)
{
    struct err err = {0};
    const struct store_options options = {
        .url = trial->url, .name = "trial", .lease_ms = 2000};
    strike(call, nth);
    trial->store = store_open(trial->loop, &options, on_state, trial, &err);
    assert_non_null(trial->store);
    int64_t owner = join(trial);
    take_in(trial, number);
    struct task_row row = claim(trial, owner);
    assert_int_equal(row.state, SUBMITTING);
    assert_int_equal(row.sends, 1);
    char event[] = "{}";
    save(trial, owner, &row, RUNNING);
    row.event = event;
    save(trial, owner, &row, SUCCEEDED);
    save(trial, owner, &row, CLOSED);
    bool hit = struck();
    store_close(trial->store);
    trial->store = NULL;
    assert_false(trial->misfit);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 0);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM closed"),
                     number + 1);
    return hit;
}

TEST_CASE_WITH(any_call_fails__a_task_is_stored_claimed_and_told_once,
               trial_setup, trial_teardown)
{
    struct trial *trial = *state;
    store_close(trial->store);
    int number = 0;
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
        int hits = 0;
        for (size_t t = 0; t < sizeof times / sizeof *times; t++) {
            if (!one(trial, calls[c], times[t], number++)) {
                break;
            }
            hits++;
        }
        print_message("%s failed %d times\n", calls[c], hits);
        assert_true(hits > 0);
    }
    trial->store = trial_open_store(trial);
    trial_wait_up(trial);
}

TESTS_RUN(NULL, NULL)
