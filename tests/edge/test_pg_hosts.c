#include "edge/loop.h"
#include "edge/pg/pg.h"

#include <unistd.h>

#include "store_trial.h"

/*
 * A connection string with two hosts: a cluster of the test's own first, which
 * takes no writes, or whose commits wait for a standby that never comes, then
 * that of all tests. Who works goes where a commit can be had, and nothing is
 * believed that a standby may lack.
 */

#define LEASE_MS 1000
#define PATIENT_MS 20000 /* where what a server says is what counts */

static struct {
    PGconn *admin; /* of the cluster's superuser, in its database postgres */
    int port;
    char name[60]; /* of its folder */
} own;

/** What a line of deploy/lib/parts.sh prints. */
static void parts(const char *line, char *out, size_t bytes)
{
    char command[900];
    snprintf(command, sizeof command,
             "bash -c '. \"$TEST_ROOT/deploy/lib/parts.sh\" && %s'", line);
    FILE *file = popen(command, "r");
    assert_non_null(file);
    size_t len = fread(out, 1, bytes - 1, file);
    out[len] = '\0';
    out[strcspn(out, "\n")] = '\0';
    if (pclose(file) != 0) {
        fail_msg("%s: %s", command, out);
    }
}

static void admin(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static void admin(const char *format, ...)
{
    char sql[500];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    PGresult *result = PQexec(own.admin, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(own.admin));
    }
    PQclear(result);
}

/** Beside a database of the run's server one of the same name in the own one.
 */
static void url_of(const struct trial *trial, bool both, char *out,
                   size_t bytes)
{
    snprintf(out, bytes,
             "host=127.0.0.1%s%s port=%d%s%s dbname=%s user=%s password=%s "
             "sslmode=disable gssencmode=disable",
             both ? "," : "", both ? PQhost(trial->conn) : "", own.port,
             both ? "," : "", both ? PQport(trial->conn) : "", trial->name,
             PQuser(trial->conn), PQpass(trial->conn));
}

/** A setting of the own server, known to whoever connects from now on. */
static void set(const struct trial *trial, const char *name, const char *value)
{
    char url[1000];
    char sql[100];
    url_of(trial, false, url, sizeof url);
    admin("ALTER SYSTEM SET %s = '%s'", name, value);
    admin("SELECT pg_reload_conf()");
    snprintf(sql, sizeof sql, "SHOW %s", name);
    for (int tries = 0;; tries++) {
        PGconn *conn = PQconnectdb(url);
        PGresult *result = PQexec(conn, sql);
        bool there = PQntuples(result) == 1 &&
                     strcmp(PQgetvalue(result, 0, 0), value) == 0;
        PQclear(result);
        PQfinish(conn);
        if (there) {
            return;
        }
        if (tries > 600) {
            fail_msg("%s is not %s", name, value);
        }
        usleep(50000);
    }
}

/** Whom commits wait for. They begin to once the checkpointer has heard of it,
 * which may be later than a session does. */
static void set_standby(const struct trial *trial, const char *name)
{
    set(trial, "synchronous_standby_names", name);
    admin("CHECKPOINT");
}

static int setup(void **state)
{
    struct trial *trial = malloc(sizeof *trial);
    struct err err = {0};
    char url[1000];
    assert_non_null(trial);
    trial_create(trial);
    admin("ALTER ROLE %s PASSWORD '%s'", PQuser(trial->conn),
          PQpass(trial->conn));
    admin("CREATE DATABASE %s", trial->name);
    url_of(trial, false, url, sizeof url);
    if (!schema_migrate(trial->url, NULL, NULL, &err) ||
        !schema_migrate(url, NULL, NULL, &err)) {
        fail_msg("%s", err.text);
    }
    *state = trial;
    return 0;
}

static int teardown(void **state)
{
    struct trial *trial = *state;
    store_close(trial->store);
    trial->store = NULL;
    set(trial, "default_transaction_read_only", "off");
    set_standby(trial, "");
    return trial_teardown(state);
}

#define HOSTS(name) TEST_CASE_WITH(name, setup, teardown)

static int start(void **state)
{
    static int number;
    char url[300];
    char line[500];
    (void)state;
    snprintf(own.name, sizeof own.name, "postgres.%d.%d", (int)getpid(),
             ++number);
    /* It ends with this process, also where a test aborts. */
    snprintf(line, sizeof line,
             "own=\"$TEST_TMP/%s\" && "
             "parts_postgres_start \"$own\" \"fsync = off\" && "
             "echo \"$PARTS_DATABASE_URL\" && "
             "{ (while kill -0 %d && [ -d \"$own/data\" ]; do sleep 0.2; done; "
             "parts_postgres_stop \"$own\") >/dev/null 2>&1 </dev/null & }",
             own.name, (int)getpid());
    parts(line, url, sizeof url);
    own.admin = PQconnectdb(url);
    assert_int_equal(PQstatus(own.admin), CONNECTION_OK);
    own.port = atoi(PQport(own.admin));
    return 0;
}

static int stop(void **state)
{
    char none[300];
    char line[100];
    (void)state;
    PQfinish(own.admin);
    snprintf(line, sizeof line, "parts_postgres_stop \"$TEST_TMP/%s\"",
             own.name);
    parts(line, none, sizeof none);
    return 0;
}

static void open_both(struct trial *trial)
{
    char url[1000];
    struct err err = {0};
    url_of(trial, true, url, sizeof url);
    const struct store_options options = {
        .url = url, .name = "trial", .lease_ms = LEASE_MS};
    trial->store =
        store_open(trial->loop, &options, trial_on_state, trial, &err);
    assert_non_null(trial->store);
}

/** Sessions of the store at the own server. */
static int lanes_there(const struct trial *trial)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity WHERE datname = '%s' AND "
             "application_name = 'trial'",
             trial->name);
    PGresult *result = PQexec(own.admin, sql);
    assert_int_equal(PQntuples(result), 1);
    int lanes = atoi(PQgetvalue(result, 0, 0));
    PQclear(result);
    return lanes;
}

/** The same, with both lanes at the own server: it comes first, and a busy
 * machine's may not answer in the half second that it has. */
static void open_there(struct trial *trial)
{
    int lanes = 0;
    for (int i = 0; i < 20 && lanes != 2; i++) {
        store_close(trial->store);
        trial->store = NULL;
        /* One of the last try that ends late is none of this one's. */
        for (int tries = 0; tries < 600 && lanes_there(trial) > 0; tries++) {
            usleep(50000);
        }
        open_both(trial);
        trial_wait_up(trial);
        lanes = lanes_there(trial);
    }
    assert_int_equal(lanes, 2);
}

static int64_t leases_here(struct trial *trial)
{
    return trial_number(trial, "SELECT count(*) FROM lease");
}

/** Of the own server, as a session of its own sees it. */
static int64_t leases_there(const struct trial *trial)
{
    char url[1000];
    url_of(trial, false, url, sizeof url);
    PGconn *conn = PQconnectdb(url);
    PGresult *result = PQexec(conn, "SELECT count(*) FROM lease");
    assert_int_equal(PQntuples(result), 1);
    int64_t n = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    PQfinish(conn);
    return n;
}

static void stop_turning(void *loop)
{
    loop_stop(loop);
}

/** Both lanes are at the run's server, and alone there: a session that was
 * given up, since the machine was too busy, may end later than they begin. */
static void wait_here(struct trial *trial)
{
    const char *sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                      "current_database() AND application_name = 'trial'";
    struct loop_timer *soon =
        loop_timer_new(trial->loop, stop_turning, trial->loop);
    bool here = false;
    for (int i = 0; i < TRIAL_LIMIT_MS / 20 && !here; i++) {
        loop_timer_set(soon, 20);
        loop_run(trial->loop);
        here = store_is_up(trial->store) && trial_number(trial, sql) == 2;
    }
    loop_timer_free(soon);
    assert_true(here);
}

HOSTS(hosts__first_takes_no_writes__second_is_used)
{
    struct trial *trial = *state;
    set(trial, "default_transaction_read_only", "on");
    open_both(trial);
    trial_wait_up(trial);
    trial_join(trial);
    assert_int_equal(leases_here(trial), 1);
}

HOSTS(hosts__only_one_that_takes_no_writes__is_said)
{
    struct trial *trial = *state;
    char url[1000];
    struct err err = {0};
    set(trial, "default_transaction_read_only", "on");
    url_of(trial, false, url, sizeof url);
    assert_false(schema_migrate(url, NULL, NULL, &err));
    assert_non_null(strstr(err.text, "read-only"));
    const struct pg_address address = {
        .url = url, .patience = pg_patience_of(PATIENT_MS), .writes = true};
    assert_null(pg_connect(&address, &err));
    assert_non_null(strstr(err.text, "read-only"));
    /* Who only reads is welcome there, unless there is another. */
    const struct pg_address reader = {.url = url};
    PGconn *conn = pg_connect(&reader, &err);
    assert_non_null(conn);
    PQfinish(conn);
    url_of(trial, true, url, sizeof url);
    conn = pg_connect(&reader, &err);
    assert_string_equal(PQport(conn), PQport(trial->conn));
    PQfinish(conn);
}

HOSTS(hosts__none_can_be_had__each_is_told_of)
{
    struct trial *trial = *state;
    char url[1000];
    struct err err = {0};
    set(trial, "default_transaction_read_only", "on");
    snprintf(url, sizeof url,
             "host=127.0.0.1,127.0.0.1 port=%d,1 dbname=%s user=%s password=%s",
             own.port, trial->name, PQuser(trial->conn), PQpass(trial->conn));
    const struct pg_address address = {
        .url = url, .patience = pg_patience_of(PATIENT_MS), .writes = true};
    assert_null(pg_connect(&address, &err));
    assert_non_null(strstr(err.text, "read-only"));
    assert_non_null(strstr(err.text, "refused"));
}

HOSTS(hosts__server_becomes_read_only__is_left_by_both_lanes)
{
    struct trial *trial = *state;
    open_there(trial);
    trial_join(trial);
    assert_int_equal(leases_there(trial), 1);
    set(trial, "default_transaction_read_only", "on");
    struct trial_answer answer = {.trial = trial};
    const struct join join = trial_lease("trial");
    store_join(trial->store, &join, trial_on_id, &answer);
    wait_here(trial);
    assert_int_equal(answer.err.kind, ERR_TRANSIENT);
}

HOSTS(hosts__commits_wait_for_a_standby__next_host_is_tried)
{
    struct trial *trial = *state;
    set_standby(trial, "nobody");
    open_both(trial);
    wait_here(trial);
    trial_join(trial);
    assert_int_equal(leases_here(trial), 1);
}

/** Until a session of the lane waits for the standby; its number. */
static int wait_for_commit(const struct trial *trial)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE datname "
             "= '%s' AND wait_event = 'SyncRep'",
             trial->name);
    for (int tries = 0; tries < 600; tries++) {
        PGresult *result = PQexec(own.admin, sql);
        int pid = atoi(PQgetvalue(result, 0, 0));
        PQclear(result);
        if (pid) {
            return pid;
        }
        usleep(50000);
    }
    fail_msg("no commit waits");
    return 0;
}

/** A commit that somebody has cut short is not known to be one. */
HOSTS(hosts__wait_for_a_standby_is_cancelled__outcome_is_unknown)
{
    struct trial *trial = *state;
    struct trial_answer answer = {.trial = trial};
    open_there(trial);
    set_standby(trial, "nobody");
    const struct join join = trial_lease("trial");
    store_join(trial->store, &join, trial_on_id, &answer);
    admin("SELECT pg_cancel_backend(%d)", wait_for_commit(trial));
    trial_await(&answer);
    assert_int_equal(answer.err.kind, ERR_TRANSIENT);
    assert_int_equal(answer.id, 0);
    int64_t there = 0; /* it was one; its backend tells of it before it is */
    for (int tries = 0; tries < 600 && there == 0; tries++) {
        there = leases_there(trial);
        usleep(there ? 0 : 50000);
    }
    assert_int_equal(there, 1);
}

/** The session before is not ended in its wait: what it has written would be
 * seen, and the standby may lack it. */
HOSTS(session_end__commit_waits_for_a_standby__is_left_alone)
{
    struct trial *trial = *state;
    char url[1000];
    url_of(trial, false, url, sizeof url);
    PGconn *before = PQconnectdb(url);
    PGconn *after = PQconnectdb(url);
    set_standby(trial, "nobody");
    PQclear(PQexec(before, "SELECT pg_try_advisory_lock(726493, 8)"));
    assert_int_equal(
        PQsendQuery(before, "INSERT INTO early_cancel (request_id, tenant, "
                            "kept_ms) VALUES ('x', 'y', 1)"),
        1);
    wait_for_commit(trial);
    const char *const lock[] = {"7"};
    PGresult *result = PQexecParams(after, pg_sql("query", "session_end"), 1,
                                    NULL, lock, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    assert_string_equal(PQgetvalue(result, 0, 0), "0");
    PQclear(result);
    result = PQexec(after, "SELECT count(*) FROM early_cancel");
    assert_string_equal(PQgetvalue(result, 0, 0), "0");
    PQclear(result);
    PQfinish(before);
    PQfinish(after);
}

TESTS_RUN(start, stop)
