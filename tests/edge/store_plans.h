#ifndef TESTS_EDGE_STORE_PLANS_H
#define TESTS_EDGE_STORE_PLANS_H

#include "edge/store_trial.h"

#include "edge/pg/pg.h"
#include "edge/pg/sql_text.h"

/** A mass of rows, statements that were prepared before it was there, and what
 * PostgreSQL says that they looked at. */

#define MASS 10000

static inline void run(struct trial *trial, const char *sql)
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
static inline void prepare(struct trial *trial, const char *query,
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
    snprintf(execute, sizeof execute,
             *arguments ? "EXECUTE %s(%s)" : "EXECUTE %s", query, arguments);
    run(trial, execute);
}

#define CLAIM_OF(after)                                                        \
    "1, 1800000000000, 10, 'account', 'bucket', 0, '" after "', false"
#define CLAIM CLAIM_OF("{0,0,0,0,0,0,0,0,0,0}")
#define PLACES_OF(after) "1, 10, 12, 605000, '" after "', '{account}'"
#define EXPIRE "1, 1800000000000, 200, 86400000"
#define UNBLOCK "'{2000,4000}', '{m-6000}', NULL, 500, 1000"
#define UNBLOCK_ALL "'{}', '{}', '', 500, 1000"
#define MINE "1"
#define SOURCES "'{task_2000,task_1}'"
#define UNREADABLE "1, 5, 100, 500"
#define UNREADABLE_WAITING "5, 100, 500"
#define ADOPT_OF(after, nobodys, until)                                        \
    "1, 1800000000000, 100, " after ", true, " nobodys ", " until
#define ALL_IDS "9223372036854775807"
#define ADOPT ADOPT_OF("0", "false", ALL_IDS)
#define ADOPT_NOBODYS ADOPT_OF("0", "true", ALL_IDS)
#define LEARN "7, 0, 'task_7'"
#define PRUNE "1800000000000, 0, 100, 1800000000000"
#define SHARE_OF(tenants, n)                                                   \
    "1, 1800000000000, 10, 'account:1', 'bucket', 0, '" tenants "', '" n "', " \
    "false"
#define SHARE                                                                  \
    SHARE_OF("{t1,t2,t3,t4,t5,t600,t700,t800,t900,t999}",                      \
             "{1,1,1,1,1,1,1,1,1,1}")
#define SHARE_ONE SHARE_OF("{t500}", "{10}")
#define SHARE_OURS SHARE_OF("{t,u}", "{5,5}")
#define SHARE_LOOK "1, 1800000000000, '{account}'"
#define SHARE_USE "1, '{account,\"\"}', '{t1,\"\"}', '{3,0}', false"
#define SLOTS "'account', 100, 1800000000000, '{0,0,0,0,0,0,0,0,0,0}'"
#define HOLDS "1, 1799999000000"
#define RARE "3" /* a mode that none has */
#define NOTHING ""
#define BEHIND_NONE "0, 0"

/** What autovacuum says of a quiet queue: an order now and then. */
static inline void analyze_quiet(struct trial *trial)
{
    run(trial, "INSERT INTO waiting SELECT i, 5, 0, 0, 0, 0, 1, 0, 0, 0, 0, '' "
               "FROM generate_series(1, 1000) i");
    run(trial, "INSERT INTO cancel VALUES (1, 1)");
    PQclear(PQexec(trial->conn, "VACUUM ANALYZE waiting, cancel"));
    run(trial, "DELETE FROM waiting");
    run(trial, "DELETE FROM cancel");
}

/**
 * A lease, and so many requests that wait: each known by its id from 1.
 *
 * @param analyzed  Autovacuum has been there, while it was quiet.
 */
static inline void fill_as(struct trial *trial, bool analyzed)
{
    /* Nothing here is too slow, nor idle for too long. */
    const char *const params[] = {"600000", "600000"};
    PGresult *result = PQexecParams(trial->conn, pg_sql("query", "session"), 2,
                                    NULL, params, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    PQclear(result);
    trial_sql(trial,
              "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM "
              "pg_class WHERE relkind = 'r' AND relnamespace = "
              "current_schema()::regnamespace LOOP EXECUTE format('ALTER TABLE "
              "%%s SET (autovacuum_enabled = off)', t); END LOOP; END $$");
    if (analyzed) {
        analyze_quiet(trial);
    }
    prepare(trial, "claim", CLAIM);
    prepare(trial, "claim_budgets", CLAIM);
    prepare(trial, "places", PLACES_OF("{0,0,0,0,0,0,0,0,0,0}"));
    prepare(trial, "expire", EXPIRE);
    prepare(trial, "unblock", UNBLOCK);
    prepare(trial, "mine", MINE);
    prepare(trial, "sources", SOURCES);
    prepare(trial, "unreadable", UNREADABLE);
    prepare(trial, "unreadable_waiting", UNREADABLE_WAITING);
    prepare(trial, "cancels", MINE);
    prepare(trial, "adopt", ADOPT);
    prepare(trial, "learn", LEARN);
    prepare(trial, "learn_waiting", LEARN);
    prepare(trial, "ctl_cancel", MINE);
    prepare(trial, "history_prune", PRUNE);
    prepare(trial, "claim_share", SHARE);
    prepare(trial, "share_look", SHARE_LOOK);
    prepare(trial, "share_use", SHARE_USE);
    prepare(trial, "slots", SLOTS);
    prepare(trial, "places_free", "1, '{2}'");
    prepare(trial, "holds", HOLDS);
    prepare(trial, "ctl_price", RARE);
    prepare(trial, "ctl_estimate", RARE);
    prepare(trial, "budget_free", NOTHING);
    prepare(trial, "budgets", NOTHING);
    prepare(trial, "money_again", BEHIND_NONE);
    prepare(trial, "money_fold", NOTHING);
    trial_sql(trial,
              "INSERT INTO request (request_id, content, tenant, mode, "
              "priority, warnings, body, received_ms) SELECT "
              "'m-' || i, '', 't', 1, 5, '[]', '{}', 1 FROM "
              "generate_series(1, %d) i",
              2 * MASS);
    run(trial, "INSERT INTO waiting SELECT id, 5, 0, 0, 0, 0, 1, 0, 0, 0, 0, "
               "'' FROM request");
}

static inline void fill(struct trial *trial)
{
    fill_as(trial, true);
}

/** Of one line of a plan: rows that its node gave, or threw away. */
static inline double rows_of(const char *line, double *loops)
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

/** A unit that has every lock which its statements ask for. */
static inline void begin(struct trial *trial)
{
    PQclear(PQexec(trial->conn, "BEGIN"));
    PQclear(PQexec(trial->conn,
                   "SELECT set_config('pixverse.' || name, 'true', true) FROM "
                   "unnest(ARRAY['takes', 'counts', 'shares', 'caps', "
                   "'budget']) AS name"));
}

#define EXPLAIN "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF)"

/** What PostgreSQL says of the statement; nothing of it stays. */
static inline PGresult *explain(struct trial *trial, const char *query,
                                const char *arguments)
{
    char name[300];
    begin(trial);
    snprintf(name, sizeof name,
             *arguments ? EXPLAIN " EXECUTE %s(%s)" : EXPLAIN " EXECUTE %s",
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
static inline double work_of(struct trial *trial, const char *query,
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
static inline long pages_of(struct trial *trial, const char *query,
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

#endif
