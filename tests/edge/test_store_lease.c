#include "edge/store_trial.h"

#include "edge/pg/pg.h"
#include "edge/pg/sql_text.h"

#include "core/apimart.h"

#include <sys/socket.h>

static struct beat_result beat(struct trial *trial, int64_t owner)
{
    struct trial_answer answer = {.trial = trial};
    const struct beat ask = {.owner = owner};
    store_beat(trial->store, &ask, trial_on_beat, &answer);
    trial_await(&answer);
    return answer.beat;
}

/* ---- leases ---- */

TEST(beat__alive__bumps_and_sees_all)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    beat(trial, me);
    struct beat_result result = beat(trial, me);
    assert_int_equal(result.err.kind, ERR_NONE);
    assert_false(result.lease_dead);
    assert_int_equal(result.leases_len, 2);
    assert_int_equal(result.leases[0].id, me);
    assert_int_equal(result.leases[0].counter, 2);
    assert_int_equal(result.leases[1].id, other);
    assert_int_equal(result.leases[1].counter, 0);
    assert_true(result.synchronous);
    assert_true(result.now_ms > INT64_C(1700000000000));
}

TEST(bury__another__finds_out_by_its_beat)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    assert_true(trial_bury(trial, other));
    assert_true(beat(trial, other).lease_dead);
    struct beat_result result = beat(trial, me);
    assert_false(result.lease_dead);
    assert_true(result.leases[1].dead);
    assert_false(trial_bury(trial, 4711));
}

static bool say(struct trial *trial, const struct vitals_row *row)
{
    struct trial_answer answer = {.trial = trial};
    store_vitals(trial->store, row, trial_on_done, &answer);
    trial_await(&answer);
    assert_int_equal(answer.err.kind, ERR_NONE);
    return answer.done;
}

TEST(vitals__again__replace_what_was_said)
{
    struct trial *trial = *state;
    struct vitals_row row = {.owner = trial_join(trial),
                             .version = "1.2.3",
                             .submits = 3,
                             .submits_max = 32,
                             .transfers_max = 8};
    assert_true(say(trial, &row));
    row.span_ms = 10000;
    row.draining = true;
    row.states[RUNNING] = 7;
    row.counts[VITALS_POLLS] = 600;
    row.late_ms = 11;
    assert_true(say(trial, &row));
    assert_string_equal(
        trial_sql(trial, "SELECT concat_ws(' ', version, draining, paused, "
                         "span_ms, states, slots, counts, late_ms) FROM vitals "
                         "WHERE at_ms > 1700000000000"),
        "1.2.3 t f 10000 {0,0,7,0,0,0,0,0} {3,32,0,8} {0,0,600,0,0} 11");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM vitals"), 1);
}

TEST(vitals__of_the_dead__are_not_written_and_go_with_the_lease)
{
    struct trial *trial = *state;
    struct vitals_row row = {.owner = trial_join(trial), .version = "1"};
    struct trial_answer answer = {.trial = trial};
    int64_t me = trial_join(trial);
    assert_true(say(trial, &row));
    assert_true(trial_bury(trial, row.owner));
    assert_false(say(trial, &row));
    row.owner = me;
    assert_true(say(trial, &row));
    trial_sql(trial, "DELETE FROM lease WHERE dead");
    store_reasons_sweep(trial->store, trial_on_done, &answer);
    trial_await(&answer);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM vitals"), 1);
    assert_int_equal(trial_number(trial, "SELECT lease FROM vitals"), me);
}

TEST(bury__a_claim_under_way__is_not_waited_for)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "SELECT id FROM lease WHERE id = %lld FOR KEY SHARE",
              (long long)other);
    int64_t began_us = loop_boot_us(trial->loop);
    assert_false(trial_bury(trial, other));
    assert_true(loop_boot_us(trial->loop) - began_us < 20000000);
    /* The bump is not held up by a claim of its own. */
    assert_false(beat(trial, other).lease_dead);
    assert_false(beat(trial, me).lease_dead);
    trial_sql(trial, "COMMIT");
    assert_true(trial_bury(trial, other));
}

/** A connection that stands still in the middle of a unit; its backend. With
 * `ours` it is marked as every session of a worker is. */
static PGconn *freeze(struct trial *trial, bool ours, const char *sql,
                      bool whole, int *backend)
{
    char url[1100];
    snprintf(url, sizeof url, "%s application_name='trial'", trial->url);
    PGconn *conn = PQconnectdb(url);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    *backend = PQbackendPID(conn);
    PQclear(PQexec(conn, "SET idle_in_transaction_session_timeout = 100"));
    if (ours) {
        PQclear(PQexec(conn, "SELECT pg_advisory_lock_shared(726493, 0)"));
    }
    assert_int_equal(PQsetnonblocking(conn, 1), 0);
    assert_int_equal(PQenterPipelineMode(conn), 1);
    assert_int_equal(PQsendQueryParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0),
                     1);
    if (whole) {
        assert_int_equal(PQpipelineSync(conn), 1);
    }
    assert_int_equal(PQflush(conn), 0);
    return conn;
}

static void wait_for_event(struct trial *trial, int backend, const char *event)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state = "
             "'active' AND wait_event = '%s'",
             backend, event);
    for (int i = 0; i < 6000 && trial_number(trial, sql) == 0; i++) {
        usleep(10000);
    }
    assert_int_equal(trial_number(trial, sql), 1);
}

/** Whatever a count takes, the beats behind it come in time. */
TEST(count__that_takes_long__gives_way_to_a_beat)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_sql(trial, "INSERT INTO cancel (task) VALUES (1)"); /* of nobody */
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "SELECT FROM cancel FOR UPDATE");
    struct trial_answer answer = {.trial = trial};
    store_count(trial->store, true, trial_on_count, &answer);
    trial_await(&answer);
    assert_int_equal(answer.err.kind, ERR_TRANSIENT);
    assert_false(beat(trial, me).lease_dead);
    assert_int_equal(trial->downs, 0); /* nor was the connection given up */
    trial_sql(trial, "COMMIT");
    assert_true(trial_count(trial, true).counted);
}

/** PostgreSQL itself would wait for such a client for ever. */
TEST(bury__frozen_in_mid_claim__is_ended_first)
{
    static const struct {
        const char *sql;
        bool whole;
        const char *event;
    } cases[] = {
        {"SELECT id FROM lease ORDER BY id DESC LIMIT 1 FOR KEY SHARE", false,
         "ClientRead"},
        {"SELECT id, repeat('x', 50000000) FROM lease ORDER BY id DESC LIMIT 1 "
         "FOR KEY SHARE",
         true, "ClientWrite"},
    };
    struct trial *trial = *state;
    store_close(trial->store);
    trial->store = trial_open_store_for(trial, 10000);
    trial_wait_up(trial);
    trial->downs = 0;
    int64_t me = trial_join(trial);
    for (size_t i = 0; i < 2; i++) {
        int64_t other = trial_join(trial);
        const int64_t frozen_us = loop_boot_us(trial->loop);
        int frozen_backend;
        int stranger_backend;
        PGconn *frozen =
            freeze(trial, true, cases[i].sql, cases[i].whole, &frozen_backend);
        PGconn *stranger =
            freeze(trial, false, "SELECT 1", false, &stranger_backend);
        wait_for_event(trial, frozen_backend, cases[i].event);
        wait_for_event(trial, stranger_backend, "ClientRead");
        bool buried = trial_bury(trial, other);
        int64_t began_us = loop_boot_us(trial->loop);
        /* It may just be slow, for half a lease. */
        assert_true(!buried || began_us - frozen_us > 5000000);
        while (!buried) {
            assert_false(beat(trial, me).lease_dead);
            assert_true(loop_boot_us(trial->loop) - began_us < 20000000);
            buried = trial_bury(trial, other);
        }
        wait_for_event(trial, stranger_backend, "ClientRead");
        PQfinish(frozen);
        PQfinish(stranger);
    }
    assert_int_equal(trial->downs, 0); /* our own sessions live on */
}

TEST(leave__our_own__makes_orphans)
{
    struct trial *trial = *state;
    int64_t one = trial_join(trial);
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    trial_claim_one(trial, one);
    struct trial_answer answer = {.trial = trial};
    store_leave(trial->store, one, trial_on_done, &answer);
    trial_await(&answer);
    assert_true(answer.done);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .adopts_max = 5});
    assert_int_equal(result.adopted_len, 1);
}

/* ---- holds and answers ---- */

TEST(holds__set_probed_lifted__are_seen_by_all)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct trial_answer answer = {.trial = trial};
    for (int i = 0; i < 2; i++) {
        store_hold_set(trial->store, HOLD_BALANCE, STR(TRIAL_ACCOUNT),
                       i ? STR("again") : STR("empty"), 1000, trial_on_done,
                       &answer);
        trial_await(&answer);
        assert_true(answer.done);
    }
    trial_sql(trial, "INSERT INTO hold VALUES ('of a later program', '', 1, 1, "
                     "'')");
    struct beat_result result = beat(trial, me);
    assert_int_equal(result.holds_len, 1);
    assert_int_equal(result.holds[0].reason, HOLD_BALANCE);
    assert_int_equal(result.holds[0].next_try_ms, 1000);
    assert_true(result.holds[0].since_ms > 1000);
    assert_true(str_eq(result.holds[0].scope, STR(TRIAL_ACCOUNT)));
    assert_true(str_eq(result.holds[0].message, STR("again")));
    const bool expected[] = {false, true, false};
    for (int i = 0; i < 3; i++) {
        answer = (struct trial_answer){.trial = trial};
        store_hold_probe(trial->store, HOLD_BALANCE, STR(TRIAL_ACCOUNT),
                         999 + i, 30000, trial_on_done, &answer);
        trial_await(&answer);
        assert_int_equal(answer.done, expected[i]);
    }
    store_hold_lift(trial->store, HOLD_BALANCE, STR(TRIAL_ACCOUNT),
                    trial_on_done, &answer);
    trial_await(&answer);
    assert_true(answer.done);
    assert_int_equal(beat(trial, me).holds_len, 0);
}

TEST(keys_answer__the_accounts__comes_with_the_beat)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    assert_int_equal(beat(trial, me).accounts_len, 1);
    assert_int_equal(beat(trial, me).accounts[0].keys_answer, 0);
    struct trial_answer answer = {.trial = trial};
    for (int i = 2; i > 0; i--) {
        store_keys_answer(trial->store, TRIAL_ACCOUNT, i, 1000 * i,
                          trial_on_done, &answer);
        trial_await(&answer);
        assert_true(answer.done);
    }
    struct beat_result result = beat(trial, me);
    assert_true(str_eq(result.accounts[0].account, STR(TRIAL_ACCOUNT)));
    assert_true(str_eq(result.accounts[0].url, STR(TRIAL_URL)));
    assert_int_equal(result.accounts[0].keys_answer, 1);
    assert_int_equal(result.accounts[0].key_retention_ms, 1000);
}

/** Whoever comes first says where an account is. */
TEST(join__several_accounts__keep_the_url_of_the_first)
{
    static const struct join_account accounts[] = {
        {"trial:00:11", {"trial", 5}, {"https://other.example", 21}, 0},
        {"b:00:22", {"b", 1}, {"https://b.example", 17}, 7},
        {"b:00:33", {"b", 1}, {"https://b.example", 17}, 7}};
    struct trial *trial = *state;
    (void)trial_join(trial);
    struct trial_answer answer = {.trial = trial};
    struct join join = trial_lease("other");
    join.accounts = accounts;
    join.accounts_len = 3;
    store_join(trial->store, &join, trial_on_id, &answer);
    trial_await(&answer);
    assert_int_equal(answer.err.kind, ERR_NONE);
    const struct beat_result result = beat(trial, answer.id);
    assert_int_equal(result.accounts_len, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(str_eq(result.accounts[i].url,
                           i ? STR("https://b.example") : STR(TRIAL_URL)));
    }
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM account"), 4);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM account_url"),
                     2);
    assert_string_equal(
        trial_sql(trial, "SELECT accounts::text || slots::text FROM lease "
                         "WHERE name = 'other'"),
        "{trial:00:11,b:00:22,b:00:33}{0,7,7}");
}

static bool say_of_keys(struct trial *trial, enum keys_answer said)
{
    struct trial_answer answer = {.trial = trial};
    store_keys_answer(trial->store, TRIAL_ACCOUNT, (int)said, 1000,
                      trial_on_done, &answer);
    trial_await(&answer);
    assert_int_equal(answer.err.kind, ERR_NONE);
    return answer.done;
}

TEST(keys_answer__broken__stays_until_its_row_is_deleted)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    assert_true(say_of_keys(trial, KEYS_HONOURED));
    assert_true(say_of_keys(trial, KEYS_BROKEN));
    assert_false(say_of_keys(trial, KEYS_HONOURED));
    assert_false(say_of_keys(trial, KEYS_IGNORED));
    assert_false(say_of_keys(trial, KEYS_BROKEN));
    assert_int_equal(beat(trial, me).accounts[0].keys_answer, KEYS_BROKEN);
    trial_sql(trial, "DELETE FROM account");
    assert_true(say_of_keys(trial, KEYS_HONOURED));
    assert_int_equal(beat(trial, me).accounts[0].keys_answer, KEYS_HONOURED);
}

/* ---- numbers that came already ---- */

static int sequences_behind(struct trial *trial)
{
    PGresult *result = PQexec(trial->conn, pg_sql("query", "check_sequences"));
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    int len = PQntuples(result);
    PQclear(result);
    return len;
}

TEST(join__under_a_sequence_that_began_anew__has_a_new_number)
{
    struct trial *trial = *state;
    /* Another one belongs into check_sequences.sql. */
    assert_int_equal(trial_number(trial,
                                  "SELECT count(*) FROM pg_sequences WHERE "
                                  "schemaname = current_schema"),
                     2);
    assert_int_equal(sequences_behind(trial), 0);
    for (int i = 0; i < 3; i++) {
        trial_join(trial);
    }
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    (void)trial_claim_one(trial, me);
    assert_int_equal(sequences_behind(trial), 0);
    trial_sql(trial, "ALTER SEQUENCE request_id_seq RESTART");
    assert_int_equal(sequences_behind(trial), 1);
    trial_sql(trial, "TRUNCATE lease RESTART IDENTITY"); /* the row is left */
    assert_int_equal(sequences_behind(trial), 2);
    int64_t next = trial_join(trial);
    assert_int_equal(next, me + 1);
    assert_int_equal(trial_join(trial), me + 2);
    assert_int_equal(sequences_behind(trial), 1);
}

TEST(join__the_admin_address__is_in_the_lease)
{
    struct trial *trial = *state;
    (void)trial_join(trial);
    assert_string_equal(trial_sql(trial, "SELECT admin FROM lease"),
                        "192.0.2.7:9464");
}

/* ---- a connection that is lost ---- */

/** Two lanes', and any that was given up while the store came up. */
static const char *const kill_ours =
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
    "application_name = 'trial' AND datname = current_database()";

TEST(connection__killed_while_idle__comes_back)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    assert_true(trial_number(trial, kill_ours) >= 2);
    trial_wait(trial);
    assert_false(trial->up);
    assert_false(trial->misfit);
    assert_true(trial->why[0] != '\0');
    trial_wait_up(trial);
    assert_true(trial->up);
    assert_false(beat(trial, me).lease_dead);
}

TEST(connection__killed_in_mid_turn__is_transient)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 3);
    struct task_row row = trial_claim_one(trial, me);
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "SELECT id FROM task WHERE id = %lld FOR UPDATE",
              (long long)row.id);
    row.state = RUNNING;
    row.version++;
    const struct task_row *rows[] = {&row};
    struct trial_answer answer = {.trial = trial, .id = 1};
    struct turn turn = {.owner = me,
                        .now_ms = TRIAL_NOW,
                        .saves = rows,
                        .saves_len = 1,
                        .claims_max = 2,
                        .account = TRIAL_ACCOUNT,
                        .bucket = "bucket"};
    store_turn(trial->store, &turn, trial_on_turn, &answer);
    struct trial_answer other = {.trial = trial};
    const struct beat ask = {.owner = me};
    do {
        store_beat(trial->store, &ask, trial_on_beat, &other);
        trial_await(&other);
    } while (trial_waiter(trial) == 0);
    assert_true(trial_number(trial, kill_ours) >= 2);
    while (answer.turn.err.kind == ERR_NONE) {
        trial_wait(trial);
    }
    assert_int_equal(answer.turn.err.kind, ERR_TRANSIENT);
    assert_true(trial->downs > 0);
    trial_sql(trial, "ROLLBACK");
    trial_wait_up(trial);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .mine = true});
    assert_int_equal(result.mine_len, 1);
    assert_int_equal(result.mine[0].row.version, 1);
    assert_int_equal(trial_save(trial, me, &(struct task_row){0}), SAVE_FENCED);
}

TEST(connection__away__calls_end_in_transient)
{
    struct trial *trial = *state;
    assert_true(trial_number(trial, kill_ours) >= 2);
    while (trial->up) {
        trial_wait(trial);
    }
    struct trial_answer answer = {.trial = trial};
    store_learn(trial->store, 1, 0, STR("v"), trial_on_learnt, &answer);
    assert_int_equal(answer.err.kind, ERR_NONE); /* not before it returned */
    while (answer.err.kind == ERR_NONE) {
        trial_wait(trial);
    }
    assert_int_equal(answer.err.kind, ERR_TRANSIENT);
    trial_wait_up(trial);
}

/** A backend gives its locks back before it leaves the list of those alive. */
static void wait_for_end(struct trial *trial, int backend)
{
    char sql[100];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity WHERE pid = %d", backend);
    bool lives = true;
    for (int i = 0; i < 6000 && lives; i++) {
        /* A transaction keeps the first list that it saw. */
        trial_sql(trial, "SELECT pg_stat_clear_snapshot()");
        lives = trial_number(trial, sql) > 0;
        usleep(lives ? 10000 : 0);
    }
    assert_false(lives);
}

/** A backend that goes on with our unit after the connection broke would write
 * behind our back: it is ended before the store is up again. */
TEST(connection__broken_on_one_side__the_backend_is_ended)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "SELECT id FROM task WHERE id = %lld FOR UPDATE",
              (long long)row.id);
    row.state = RUNNING;
    row.version++;
    const struct task_row *rows[] = {&row};
    struct trial_answer answer = {.trial = trial, .id = 1};
    struct turn turn = {.owner = me,
                        .saves = rows,
                        .saves_len = 1,
                        .account = "",
                        .bucket = ""};
    store_turn(trial->store, &turn, trial_on_turn, &answer);
    struct trial_answer other = {.trial = trial};
    const struct beat ask = {.owner = me};
    do {
        store_beat(trial->store, &ask, trial_on_beat, &other);
        trial_await(&other);
    } while (trial_waiter(trial) == 0);
    int64_t backend = trial_waiter(trial);
    /* Our sockets to PostgreSQL, but for that of the looking connection. */
    for (int fd = 3; fd < 100; fd++) {
        if (fd != PQsocket(trial->conn)) {
            struct sockaddr_storage peer;
            socklen_t len = sizeof peer;
            if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0) {
                shutdown(fd, SHUT_RD);
            }
        }
    }
    while (answer.turn.err.kind == ERR_NONE) {
        trial_wait(trial);
    }
    trial_wait_up(trial);
    wait_for_end(trial, (int)backend);
    trial_sql(trial, "COMMIT");
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .mine = true});
    assert_int_equal(result.mine[0].row.state, SUBMITTING);
}

TEST(close__with_units_under_way__ends_them)
{
    struct trial *trial = *state;
    struct trial_answer answer = {.trial = trial};
    const struct join join = trial_lease("trial");
    store_join(trial->store, &join, trial_on_id, &answer);
    store_close(trial->store);
    assert_int_equal(answer.err.kind, ERR_TRANSIENT);
    trial->store = trial_open_store(trial);
    trial_wait_up(trial);
}

TEST_CASE_WITH(open__without_schema__is_a_misfit_until_there_is_one, NULL,
               trial_teardown)
{
    struct trial *trial = malloc(sizeof *trial);
    struct err err = {0};
    assert_non_null(trial);
    trial_create(trial);
    trial->store = trial_open_store(trial);
    assert_int_equal(trial->downs, 0);
    while (!trial->misfit) {
        trial_wait(trial);
    }
    assert_false(trial->up);
    assert_non_null(strstr(trial->why, "pixverse-worker migrate"));
    assert_true(schema_migrate(trial->url, NULL, NULL, &err));
    trial_wait_up(trial);
    assert_false(trial->misfit);
    /* One that was made by hand, and holds no salt: nothing may be sent. */
    trial_sql(trial, "ALTER TABLE meta DROP CONSTRAINT meta_salt_check");
    const char *const salt = arena_printf(
        &trial->arena, "%s",
        trial_sql(trial, "WITH a AS (SELECT salt FROM meta), b AS (UPDATE meta "
                         "SET salt = '') SELECT salt FROM a"));
    trial_number(trial, kill_ours);
    while (!trial->misfit) {
        trial_wait(trial);
    }
    assert_non_null(strstr(trial->why, "no salt"));
    trial_sql(trial, "UPDATE meta SET salt = '%s'", salt);
    trial_wait_up(trial);
    *state = trial;
}

TESTS_RUN(NULL, NULL)
