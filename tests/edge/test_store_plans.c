#include "edge/store_trial.h"

#include "edge/pg/pg.h"
#include "edge/pg/sql_text.h"

/*
 * How much a statement looks at, where much waits that does not concern it, on
 * tables of which PostgreSQL knows nothing yet. What is asserted are rows that
 * its nodes touched, not the time that it took.
 */

#define MASS 10000

static void run(struct trial *trial, const char *sql)
{
    PQclear(PQexec(trial->conn, "BEGIN"));
    PGresult *result = PQexec(trial->conn, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK &&
        PQresultStatus(result) != PGRES_COMMAND_OK) {
        fail_msg("%s", PQerrorMessage(trial->conn));
    }
    PQclear(result);
    PQclear(PQexec(trial->conn, "COMMIT"));
}

/** As a connection of the store is, that has used the statement when all was
 * empty: its plan stays, whatever comes then. */
static void prepare(struct trial *trial, const char *query,
                    const char *arguments)
{
    char execute[200];
    struct buf text;
    buf_init(&text, 0);
    buf_add_text(&text, "PREPARE ");
    buf_add_text(&text, query);
    buf_add_text(&text, " AS ");
    buf_add_text(&text, pg_sql("query", query));
    buf_add_char(&text, '\0');
    run(trial, text.bytes);
    buf_done(&text);
    snprintf(execute, sizeof execute, "EXECUTE %s(%s)", query, arguments);
    run(trial, execute);
}

#define CLAIM_OF(after)                                                        \
    "1, 1800000000000, 10, 'account', 'bucket', 0, '" after "', false"
#define CLAIM CLAIM_OF("{0,0,0,0,0,0,0,0,0,0}")
#define PLACES_OF(after) "1, 10, 12, 605000, '" after "'"
#define EXPIRE "1, 1800000000000, 200, 86400000"
#define UNBLOCK "'{2000,4000}', '{m-6000}', NULL, 500, 1000"
#define UNBLOCK_ALL "'{}', '{}', '', 500, 1000"
#define MINE "1"
#define SOURCES "'{task_2000,task_1}'"
#define UNREADABLE "1, 5, 100, 500"
#define UNREADABLE_WAITING "5, 100, 500"
#define ADOPT "1, 1800000000000, 100, 0, true"
#define LEARN "7, 0, 'task_7'"

/** A lease, and so many requests that wait: each known by its id from 1. */
static void fill(struct trial *trial)
{
    static const char *const tables[] = {"request", "task", "waiting",
                                         "cancel"};
    const char *const params[] = {"1000", "30000"};
    PGresult *result = PQexecParams(trial->conn, pg_sql("query", "session"), 2,
                                    NULL, params, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    PQclear(result);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        trial_sql(trial, "ALTER TABLE %s SET (autovacuum_enabled = off)",
                  tables[i]);
    }
    /* What autovacuum says of a quiet queue: an order now and then. */
    run(trial, "INSERT INTO waiting SELECT i, 5, 0, 0, 0, 0, 1, 0, 0, 0, 0, '' "
               "FROM generate_series(1, 1000) i");
    run(trial, "INSERT INTO cancel VALUES (1, 1)");
    PQclear(PQexec(trial->conn, "VACUUM ANALYZE waiting, cancel"));
    run(trial, "DELETE FROM waiting");
    run(trial, "DELETE FROM cancel");
    prepare(trial, "claim", CLAIM);
    prepare(trial, "places", PLACES_OF("{0,0,0,0,0,0,0,0,0,0}"));
    prepare(trial, "expire", EXPIRE);
    prepare(trial, "unblock", UNBLOCK);
    prepare(trial, "mine", MINE);
    prepare(trial, "sources_task", SOURCES);
    prepare(trial, "unreadable", UNREADABLE);
    prepare(trial, "unreadable_waiting", UNREADABLE_WAITING);
    prepare(trial, "cancels", MINE);
    prepare(trial, "adopt", ADOPT);
    prepare(trial, "learn", LEARN);
    prepare(trial, "learn_waiting", LEARN);
    prepare(trial, "ctl_cancel", MINE);
    trial_sql(trial,
              "INSERT INTO request (request_id, content, tenant, mode, "
              "priority, warnings, body, received_ms) SELECT "
              "'m-' || i, '', 't', 1, 5, '[]', '{}', 1 FROM "
              "generate_series(1, %d) i",
              2 * MASS);
    run(trial, "INSERT INTO waiting SELECT id, 5, 0, 0, 0, 0, 1, 0, 0, 0, 0, "
               "'' FROM request");
}

/** Of one line of a plan: rows that its node gave, or threw away. */
static double rows_of(const char *line, double *loops)
{
    const char *actual = strstr(line, "(actual rows=");
    const char *removed = strstr(line, "Rows Removed by ");
    if (actual) {
        double rows = strtod(actual + strlen("(actual rows="), NULL);
        *loops = strtod(strstr(actual, "loops=") + strlen("loops="), NULL);
        return rows * *loops;
    }
    return removed ? strtod(strchr(removed, ':') + 1, NULL) * *loops : 0;
}

/** What PostgreSQL says of the statement; nothing of it stays. */
static PGresult *explain(struct trial *trial, const char *query,
                         const char *arguments)
{
    char name[200];
    PQclear(PQexec(trial->conn, "BEGIN"));
    PQclear(PQexec(trial->conn,
                   "SELECT set_config('pixverse.takes', 'true', true)"));
    snprintf(
        name, sizeof name,
        "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF) EXECUTE %s(%s)",
        query, arguments);
    PGresult *plan = PQexec(trial->conn, name);
    if (PQresultStatus(plan) != PGRES_TUPLES_OK) {
        fail_msg("%s", PQerrorMessage(trial->conn));
    }
    PQclear(PQexec(trial->conn, "ROLLBACK"));
    for (int i = 0; i < PQntuples(plan) && getenv("SHOW_PLANS"); i++) {
        print_message("%s\n", PQgetvalue(plan, i, 0));
    }
    return plan;
}

/** Rows that all its nodes touched. */
static double work_of(struct trial *trial, const char *query,
                      const char *arguments)
{
    double work = 0;
    double loops = 1;
    PGresult *plan = explain(trial, query, arguments);
    for (int i = 0; i < PQntuples(plan); i++) {
        work += rows_of(PQgetvalue(plan, i, 0), &loops);
    }
    PQclear(plan);
    print_message("%s: %.0f rows\n", query, work);
    return work;
}

/** Pages that it looked at: dead rows, which no node tells of, are in there. */
static long pages_of(struct trial *trial, const char *query,
                     const char *arguments)
{
    long pages = 0;
    PGresult *plan = explain(trial, query, arguments);
    for (int i = 0; i < PQntuples(plan) && !pages;
         i++) { /* the first: of all */
        const char *line = PQgetvalue(plan, i, 0);
        const char *hit = strstr(line, "Buffers: shared hit=");
        const char *read = strstr(line, " read=");
        pages = hit ? strtol(hit + strlen("Buffers: shared hit="), NULL, 10) +
                          (read ? strtol(read + strlen(" read="), NULL, 10) : 0)
                    : 0;
    }
    PQclear(plan);
    assert_true(pages > 0);
    print_message("%s: %ld pages\n", query, pages);
    return pages;
}

TEST(a_claim__behind_many_cancels__looks_at_each_once)
{
    struct trial *trial = *state;
    trial_join(trial);
    fill(trial);
    trial_sql(trial,
              "INSERT INTO cancel (task) SELECT id FROM waiting WHERE id <= %d",
              MASS);
    assert_true(work_of(trial, "claim", CLAIM) < 10 * MASS);
}

TEST(an_expiry__of_a_mass__takes_what_it_wants)
{
    struct trial *trial = *state;
    trial_join(trial);
    fill(trial);
    trial_sql(trial,
              "INSERT INTO cancel (task) SELECT id FROM waiting WHERE id <= %d",
              MASS);
    assert_true(work_of(trial, "expire", EXPIRE) < 10 * MASS);
    assert_true(work_of(trial, "cancels", MINE) < 10 * MASS);
    trial_sql(trial, "UPDATE waiting SET deadline_ms = 5");
    assert_true(work_of(trial, "expire", EXPIRE) < 10 * MASS);
}

#define TASK_OF_REQUEST                                                        \
    "INSERT INTO task (" TRIAL_TASK_COLUMNS ") "                               \
    "SELECT id, 2, %d, 1, 1, 0, 1, false, false, false, '', "                  \
    "'task_' || id, 1, 0, 1, 1799999999999, 0, 0, 0, 0, 0, 0, 0, 0, 0, "       \
    "false, 0, 0 FROM request WHERE id %% 2000 = 0"

/** Ten are ours; all others wait. */
TEST(what_is_owned__behind_a_queue__is_found_without_it)
{
    struct trial *trial = *state;
    trial_join(trial);
    fill(trial);
    trial_sql(trial, TASK_OF_REQUEST, 1);
    trial_sql(trial, "DELETE FROM waiting w USING task t WHERE w.id = t.id");
    assert_true(work_of(trial, "mine", MINE) < 100);
    assert_true(work_of(trial, "adopt", ADOPT) < 100);
    assert_true(work_of(trial, "unreadable", UNREADABLE) < 500);
    /* A part of 500, each with its request. */
    assert_true(work_of(trial, "unreadable_waiting", UNREADABLE_WAITING) <
                7 * 500);
    assert_true(work_of(trial, "sources_task", SOURCES) < 100);
    assert_true(work_of(trial, "claim", CLAIM) < 300);
    assert_true(work_of(trial, "learn", LEARN) < 30);
    assert_true(work_of(trial, "learn_waiting", LEARN) < 30);
    assert_true(work_of(trial, "ctl_cancel", MINE) < 30);
}

/** Nobody waits for another: an end costs a look. A mass does: what ended is
 * found by its id, and all of their sources one by one. */
TEST(what_extends_others__beside_a_mass__is_found_by_its_source)
{
    struct trial *trial = *state;
    trial_join(trial);
    fill(trial);
    assert_true(work_of(trial, "unblock", UNBLOCK) < 30);
    assert_true(work_of(trial, "unblock", UNBLOCK_ALL) < 30);
    trial_sql(trial, "UPDATE waiting SET source = 'm-' || (id / 10 * 10), "
                     "not_before_ms = 1799999999999 WHERE id > 100");
    assert_true(work_of(trial, "unblock", UNBLOCK) < 60);
    assert_true(work_of(trial, "unblock", UNBLOCK_ALL) < 10000);
    assert_true(work_of(trial, "claim", CLAIM) < 300);
    trial_sql(trial, "INSERT INTO closed (" TRIAL_TASK_COLUMNS
                     ") SELECT id, 7, 0, 1, 1, 0, 1, false, "
                     "false, false, '', 'task_' || id, 1, 0, 1, 1, 0, 0, 0, 0, "
                     "0, 0, 0, 0, 0, false, 0, 0 FROM request WHERE id IN "
                     "(2000, 4000, 6000)");
    assert_true(work_of(trial, "unblock", UNBLOCK) < 600);
    assert_true(work_of(trial, "expire", EXPIRE) < 100);
}

/** A mass is another's; ten are ours. */
TEST(what_is_ours__beside_a_mass_of_others__is_found_alone)
{
    struct trial *trial = *state;
    trial_join(trial);
    trial_join(trial);
    fill(trial);
    trial_sql(trial, TASK_OF_REQUEST, 1);
    trial_sql(trial, "INSERT INTO task (" TRIAL_TASK_COLUMNS
                     ") SELECT t.id + i, t.state, 2, 1, 1, 0, 1, "
                     "false, false, false, '', '', 1, 0, 1, 1, 0, 0, 0, 0, 0, "
                     "0, 0, 0, 0, false, 0, 0 FROM task t, "
                     "generate_series(1, 999) i");
    assert_true(work_of(trial, "mine", MINE) < 100);
    assert_true(work_of(trial, "places", PLACES_OF("{0,0,0,0,0,0,0,0,0,0}")) <
                60);
}

#define BEHIND(id) "{0,0,0,0,0," #id ",0,0,0,0}"
#define CLAIM_ALL CLAIM_OF(BEHIND(0))
#define CLAIM_BEHIND CLAIM_OF(BEHIND(10000))
#define PLACES PLACES_OF(BEHIND(10000))

/** What was taken while somebody held an old snapshot, which nothing can clear
 * away, is not gone through again. */
TEST(a_claim__behind_rows_that_are_dead_but_held__does_not_look_at_them)
{
    struct trial *trial = *state;
    trial_join(trial);
    fill(trial);
    PGconn *old = PQconnectdb(trial->url);
    PQclear(PQexec(old, "BEGIN ISOLATION LEVEL REPEATABLE READ"));
    PGresult *seen = PQexec(old, "SELECT count(*) FROM waiting");
    assert_int_equal(PQresultStatus(seen), PGRES_TUPLES_OK);
    PQclear(seen);
    const long before = pages_of(trial, "claim", CLAIM_BEHIND);
    trial_sql(trial, "DELETE FROM waiting WHERE id <= %d", MASS);
    PQclear(PQexec(trial->conn, "VACUUM waiting"));
    assert_true(pages_of(trial, "claim", CLAIM_BEHIND) <= before + 20);
    assert_true(pages_of(trial, "places", PLACES) <= 60);
    assert_true(pages_of(trial, "claim", CLAIM_ALL) > before + 100);
    PQfinish(old);
}

TESTS_RUN(NULL, NULL)
