/* tests/run: timeout=400 */
#include "edge/store_plans.h"

#include <time.h>

/*
 * How much a statement looks at, where much waits that does not concern it, on
 * tables of which PostgreSQL knows nothing yet. What is asserted are rows that
 * its nodes touched, not the time that it took.
 */

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

#define RUNNING_OF(owner, which)                                               \
    "INSERT INTO task (" TRIAL_TASK_COLUMNS ") SELECT id, 2, " owner           \
    ", 1, 1, 0, 1, false, false, false, '', 'task_' || id, 1, 0, 1, "          \
    "1799999999999, 0, 0, 0, 0, 0, 0, 0, 0, 0, false, 0, 0 FROM request "      \
    "WHERE id " which

/** Ten are ours; all others wait. */
TEST(what_is_owned__behind_a_queue__is_found_without_it)
{
    struct trial *trial = *state;
    trial_join(trial);
    fill(trial);
    run(trial, RUNNING_OF("1", "% 2000 = 0"));
    trial_sql(trial, "DELETE FROM waiting w USING task t WHERE w.id = t.id");
    assert_true(work_of(trial, "mine", MINE) < 100);
    assert_true(work_of(trial, "adopt", ADOPT) < 100);
    assert_true(work_of(trial, "unreadable", UNREADABLE) < 500);
    /* A part of 500, each with its request. */
    assert_true(work_of(trial, "unreadable_waiting", UNREADABLE_WAITING) <
                7 * 500);
    assert_true(work_of(trial, "sources", SOURCES) < 100);
    assert_true(work_of(trial, "claim", CLAIM) < 300);
    assert_true(work_of(trial, "learn", LEARN) < 30);
    assert_true(work_of(trial, "learn_waiting", LEARN) < 30);
    assert_true(work_of(trial, "ctl_cancel", MINE) < 30);
}

/** Each has an earlier end, too: it is found by its id. */
static double pruned(struct trial *trial)
{
    trial_join(trial);
    fill(trial);
    run(trial, "DELETE FROM waiting");
    trial_sql(trial,
              "INSERT INTO closed (" TRIAL_TASK_COLUMNS ", event) "
              "SELECT id, 6, 0, 9, 1, 1, 1, false, false, false, '', '', 1, 0, "
              "1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 2, false, 0, 0, 'e' "
              "FROM request WHERE id <= %d",
              MASS);
    run(trial, "INSERT INTO past SELECT * FROM closed");
    run(trial, "UPDATE past SET submission = 0, fence = 4");
    return work_of(trial, "history_prune", PRUNE);
}

/** A session that is busy while others of the server make many tables loses its
 * plans, whatever they are of. One that is made now, of masses that nothing is
 * known of, is not what is asked for: that begins again in another database. */
TEST(history__with_many_earlier_ends__is_pruned_without_the_others)
{
    double work = pruned(*state);
    for (int tries = 1; tries < 5 && work >= 6000; tries++) {
        trial_teardown(state);
        trial_setup(state);
        work = pruned(*state);
    }
    assert_true(work < 6000);
}

TEST(what_is_nobodys__among_many_tasks__is_taken_up_without_them)
{
    struct trial *trial = *state;
    trial_join(trial);
    fill(trial);
    run(trial, "DELETE FROM waiting");
    trial_sql(
        trial,
        RUNNING_OF("CASE WHEN id < 5 THEN -(id %% 2) ELSE 1 END", "<= %d"),
        MASS);
    PQclear(PQexec(trial->conn, "ANALYZE task"));
    assert_true(work_of(trial, "adopt", ADOPT_NOBODYS) < 200);
    assert_true(work_of(trial, "adopt", ADOPT) > MASS);
}

/** The first minutes of a database, or autovacuum came while it was empty: all
 * that is in flight is ours, and more waits. */
static void nobody_reads_all(struct trial *trial, bool vacuumed)
{
    trial_join(trial);
    if (vacuumed) {
        PQclear(PQexec(trial->conn, "VACUUM ANALYZE waiting, cancel, task"));
    }
    fill_as(trial, false);
    assert_true(work_of(trial, "expire", EXPIRE) < 100);
    assert_true(work_of(trial, "claim", CLAIM) < 300);
    assert_true(work_of(trial, "claim_budgets", CLAIM) < 300);
    assert_true(work_of(trial, "unblock", UNBLOCK) < 30);
    assert_true(work_of(trial, "share_look", SHARE_LOOK) < 60);
    assert_true(work_of(trial, "ctl_cancel", MINE) < 30);
    assert_true(work_of(trial, "learn", LEARN) < 30);
    assert_true(work_of(trial, "learn_waiting", LEARN) < 30);
    trial_sql(trial, RUNNING_OF("1 + id %% 100", "<= %d"), MASS);
    trial_sql(trial, "DELETE FROM waiting WHERE id <= %d", MASS);
    assert_true(work_of(trial, "cancels", MINE) < 30);
    assert_true(work_of(trial, "expire", EXPIRE) < 100);
    assert_true(work_of(trial, "claim", CLAIM) < 300);
    assert_true(work_of(trial, "sources", SOURCES) < 3 * MASS);
    trial_sql(trial, "WITH d AS (DELETE FROM task WHERE id IN (1, 2000) "
                     "RETURNING *) INSERT INTO closed SELECT * FROM d");
    assert_true(work_of(trial, "sources", SOURCES) < 50);
    trial_sql(trial, "INSERT INTO cancel (task) VALUES (1), (2), (%d)",
              MASS + 1);
    assert_true(work_of(trial, "cancels", MINE) < 50);
    assert_true(work_of(trial, "expire", EXPIRE) < 100);
    /* Many orders, of which few are ours. */
    trial_sql(trial,
              "INSERT INTO cancel (task) SELECT id FROM request ON CONFLICT "
              "DO NOTHING");
    assert_true(work_of(trial, "cancels", MINE) < 5000);
    trial_sql(trial, "DELETE FROM cancel");
    /* One has room for one: who is put aside is found by its id. */
    trial_sql(trial, "INSERT INTO budget (tenant, period, amount, warn, guess) "
                     "VALUES ('t', 0, 1, 80, 1)");
    assert_true(work_of(trial, "claim_budgets", CLAIM) < 40000);
}

TEST(before_the_first_analyze__nobody_reads_all)
{
    nobody_reads_all(*state, false);
}

TEST(analyzed_while_empty__nobody_reads_all)
{
    nobody_reads_all(*state, true);
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

/** Each account has a queue of its own for what only it may have. */
TEST(what_is_of_one_account__is_in_nobodys_way)
{
    struct trial *trial = *state;
    trial_join(trial);
    fill(trial);
    trial_sql(trial, "UPDATE waiting SET pinned = 'held', tenant = 't'");
    assert_true(work_of(trial, "claim", CLAIM) < 30);
    assert_true(work_of(trial, "places", PLACES_OF("{0,0,0,0,0,0,0,0,0,0}")) <
                60);
    assert_true(work_of(trial, "slots", SLOTS) < 60);
    assert_true(work_of(trial, "share_look", SHARE_LOOK) < 30);
    trial_sql(trial, "UPDATE waiting SET pinned = NULL WHERE id > %d",
              2 * MASS - 20);
    assert_true(work_of(trial, "claim", CLAIM) < 300);
    trial_sql(trial, "UPDATE waiting SET pinned = 'account' WHERE id > %d",
              2 * MASS - 20);
    assert_true(work_of(trial, "claim", CLAIM) < 300);
    assert_true(work_of(trial, "share_look", SHARE_LOOK) < 60);
    trial_sql(trial, "SELECT set_config('pixverse.shares', 'true', false)");
    assert_true(work_of(trial, "claim_share", SHARE_OURS) < 300);
}

/** A mass is another's; ten are ours. */
TEST(what_is_ours__beside_a_mass_of_others__is_found_alone)
{
    struct trial *trial = *state;
    trial_join(trial);
    trial_join(trial);
    fill(trial);
    run(trial, RUNNING_OF("1", "% 2000 = 0"));
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

/** A walk that begins behind what came and went meanwhile, and the end of one.
 */
TEST(a_takeover__behind_rows_that_are_dead_but_held__does_not_look_at_them)
{
    struct trial *trial = *state;
    trial_join(trial);
    fill(trial);
    run(trial, "DELETE FROM waiting");
    trial_sql(trial, RUNNING_OF("1", "<= %d"), MASS + 20);
    PGconn *old = PQconnectdb(trial->url);
    PQclear(PQexec(old, "BEGIN ISOLATION LEVEL REPEATABLE READ"));
    PGresult *seen = PQexec(old, "SELECT count(*) FROM task");
    assert_int_equal(PQresultStatus(seen), PGRES_TUPLES_OK);
    PQclear(seen);
    const char *const behind = ADOPT_OF("10000", "false", ALL_IDS);
    const long before = pages_of(trial, "adopt", behind);
    trial_sql(trial, "DELETE FROM task WHERE id <= %d", MASS);
    PQclear(PQexec(trial->conn, "VACUUM task"));
    assert_true(pages_of(trial, "adopt", behind) <= before + 20);
    assert_true(pages_of(trial, "adopt", ADOPT_OF("0", "false", "20")) <=
                before + 20);
    assert_true(pages_of(trial, "adopt", ADOPT) > before + 100);
    PQfinish(old);
}

/* ---- tenants ---- */

#define TENANTS 1000
#define BROKE 10 /* of them, in whose budgets there is no room */
#define WAITING 100000

static int64_t waiting(void)
{
    const char *text = getenv("WAITING");
    return text ? strtoll(text, NULL, 10) : WAITING;
}

/** So many wait, of all tenants; half of what the broke ones have is put aside,
 * and of a few each that waits for another. Two workers, one of which died at
 * work. */
static void fill_tenants(struct trial *trial)
{
    trial_join(trial);
    trial_join(trial);
    fill(trial);
    run(trial, RUNNING_OF("2", "% 2000 = 0"));
    trial_sql(trial, "DELETE FROM waiting w USING task t WHERE w.id = t.id");
    trial_sql(trial,
              "INSERT INTO request (request_id, content, tenant, mode, "
              "priority, warnings, body, received_ms, price) SELECT "
              "'s-' || i, '', 't' || i %% %d, 1, i / 1000 %% 10, '[]', '{}', "
              "1, 1000000 FROM generate_series(1, %lld) i",
              TENANTS, (long long)waiting());
    trial_sql(
        trial,
        "INSERT INTO waiting (id, priority, fence, version, submission, "
        "tries, received_ms, deadline_ms, not_before_ms, first_sent_ms, "
        "last_sent_ms, account, tenant, source, budget) SELECT id, "
        "priority, 0, 0, 0, 0, 1, 0, 0, 0, 0, '', tenant, "
        "CASE WHEN id %% 50 = 49 THEN 'nobody' END, CASE WHEN id %% 2 = 0 "
        "AND substr(tenant, 2)::integer < %d AND id %% 50 <> 49 THEN "
        "tenant END FROM request WHERE tenant <> 't'",
        BROKE);
    trial_sql(
        trial,
        "INSERT INTO tenant SELECT 't' || i, 1 + i %% 9, CASE WHEN i %% 2 "
        "= 0 THEN 50 END FROM generate_series(0, %d) i",
        TENANTS - 1);
    trial_sql(trial, "DELETE FROM lease_use");
    trial_sql(trial,
              "INSERT INTO lease_use SELECT l, 'account', 't' || i, 3 FROM "
              "generate_series(1, 2) l, generate_series(0, %d) i",
              TENANTS - 1);
    trial_sql(trial, "INSERT INTO lease_use SELECT l, '', '', 0 FROM "
                     "generate_series(1, 2) l");
    trial_sql(trial,
              "INSERT INTO budget SELECT 't' || i, 0, 1500000, 80, 1000000 "
              "FROM generate_series(0, %d) i",
              BROKE - 1);
    trial_sql(trial, "INSERT INTO money SELECT id, 1, 't1', 20000, 1, 1000000, "
                     "1000000 FROM task");
    trial_sql(trial, "UPDATE lease SET dead = true WHERE id = 2");
}

/** The most rows that the statement may touch; what waits is found by an index.
 */
static void bounded(struct trial *trial, const char *query,
                    const char *arguments, double most)
{
    PGresult *plan = explain(trial, query, arguments);
    for (int i = 0; i < PQntuples(plan); i++) {
        const char *line = PQgetvalue(plan, i, 0);
        if (strstr(line, "Seq Scan on waiting")) {
            fail_msg("%s: %s", query, line);
        }
    }
    PQclear(plan);
    const double work = work_of(trial, query, arguments);
    if (work > most) {
        fail_msg("%s: %.0f rows, %.0f at most", query, work, most);
    }
}

static int by_size(const void *a, const void *b)
{
    const double one = *(const double *)a;
    const double other = *(const double *)b;
    return (one > other) - (one < other);
}

/** Told, not asserted: a busy machine takes its time. */
static void tell_time(struct trial *trial, const char *query,
                      const char *arguments)
{
    enum { TIMES = 41 };
    char execute[300];
    double took[TIMES];
    snprintf(execute, sizeof execute, "EXECUTE %s(%s)", query, arguments);
    for (size_t i = 0; i < TIMES; i++) {
        struct timespec began;
        struct timespec ended;
        begin(trial);
        clock_gettime(CLOCK_MONOTONIC, &began);
        PGresult *result = PQexec(trial->conn, execute);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
        PQclear(result);
        PQclear(PQexec(trial->conn, "ROLLBACK"));
        took[i] = (double)(ended.tv_sec - began.tv_sec) * 1e3 +
                  (double)(ended.tv_nsec - began.tv_nsec) / 1e6;
    }
    qsort(took, TIMES, sizeof *took, by_size);
    print_message("# %s beside %lld that wait, %d tenants: %.2f ms, p95 %.2f\n",
                  query, (long long)waiting(), TENANTS, took[TIMES / 2],
                  took[TIMES * 95 / 100]);
}

/** What a claim costs is of the tenants, not of what waits. */
TEST(shares__of_many_tenants__beside_all_that_waits__are_found_by_their_names)
{
    struct trial *trial = *state;
    fill_tenants(trial);
    bounded(trial, "share_look", SHARE_LOOK, 20 * TENANTS);
    bounded(trial, "claim_share", SHARE, 1500);
    bounded(trial, "claim_share", SHARE_ONE, 1200);
    bounded(trial, "share_use", SHARE_USE, 100);
    bounded(trial, "slots", SLOTS, 500);
    bounded(trial, "places", PLACES_OF("{0,0,0,0,0,0,0,0,0,0}"), 100);
    bounded(trial, "places_free", "1, '{2}'", 100);
    bounded(trial, "claim", CLAIM, 1200);
    tell_time(trial, "claim_share", SHARE);
    tell_time(trial, "claim_share", SHARE_ONE);
    tell_time(trial, "share_look", SHARE_LOOK);
    tell_time(trial, "claim", CLAIM);
}

/** An operator is told before an order what it may cost. */
TEST(what_a_rare_mode_costs__is_told_by_the_latest_ends)
{
    struct trial *trial = *state;
    fill(trial);
    run(trial, "DELETE FROM waiting");
    run(trial, RUNNING_OF("7", "> 0"));
    run(trial, "WITH d AS (DELETE FROM task RETURNING *) INSERT INTO closed "
               "SELECT * FROM d");
    assert_true(work_of(trial, "ctl_price", RARE) < 4 * 5000);
    assert_true(work_of(trial, "ctl_estimate", RARE) < 4 * 5000);
}

static int rows_given(struct trial *trial, const char *sql)
{
    PGresult *result = PQexec(trial->conn, sql);
    const int n = PQntuples(result);
    PQclear(result);
    return n;
}

/** The database was set back: all that waits is in doubt, and its keys are
 * known to hold for hours. Each beat asks whether one's time is up. */
TEST(holds__of_a_mass_in_doubt__are_told_by_the_oldest)
{
    struct trial *trial = *state;
    trial_join(trial);
    fill(trial);
    trial_sql(trial, "UPDATE meta SET rewound_ms = 1799999999999");
    trial_sql(trial, "UPDATE account SET since_ms = 1");
    trial_sql(trial, "UPDATE waiting SET doubt = true, "
                     "first_sent_ms = 1799999000000 + id");
    bounded(trial, "holds", HOLDS, 100);
    assert_int_equal(rows_given(trial, "EXECUTE holds(" HOLDS ")"), 0);
    trial_sql(trial,
              "UPDATE waiting SET first_sent_ms = 1799999000000 "
              "WHERE id = %d",
              MASS);
    bounded(trial, "holds", HOLDS, 100);
    assert_int_equal(rows_given(trial, "EXECUTE holds(" HOLDS ")"), 1);
}

/** A worker keeps so many (HOLDS_READ_MAX), and is stopped by the last three
 * that came. */
TEST(holds__beside_many_of_others__what_stops_us_is_first)
{
    static const char *const first[] = {"*", "bucket", "account", "x1:u:k"};
    struct trial *trial = *state;
    trial_join(trial);
    fill(trial);
    trial_sql(trial, "UPDATE lease SET accounts = '{account}'");
    run(trial, "INSERT INTO hold SELECT 'auth', 'x' || n || ':u:k', n, 0, '' "
               "FROM generate_series(1, 40) n");
    run(trial,
        "INSERT INTO hold VALUES ('auth', 'account', 97, 0, ''), "
        "('storage', 'bucket', 98, 0, ''), ('operator', '*', 99, 0, '')");
    PGresult *rows = PQexec(trial->conn, "EXECUTE holds(" HOLDS ")");
    assert_int_equal(PQntuples(rows), 43);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(PQgetvalue(rows, i, 1), first[i]);
    }
    PQclear(rows);
}

/** Looks at budgets pass by what waits for no budget. */
TEST(budgets__beside_all_that_waits__look_at_what_was_put_aside)
{
    struct trial *trial = *state;
    fill_tenants(trial);
    /* It weighs 5,000 at most, each with its tenant's room. */
    bounded(trial, "budget_free", NOTHING, 30.0 * 5000);
    bounded(trial, "budgets", NOTHING, 20000);
    bounded(trial, "money_again", BEHIND_NONE, 2000);
    bounded(trial, "money_fold", NOTHING, 2000);
}

TESTS_RUN(NULL, NULL)
