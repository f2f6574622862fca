/* tests/run: raced */
#include "edge/store_trial.h"

#include "edge/inspect.h"

static int create(void **state)
{
    struct trial *trial = malloc(sizeof *trial);
    assert_non_null(trial);
    trial_create(trial);
    *state = trial;
    return 0;
}

static void count_step(void *context, int number, const char *name)
{
    int *steps = context;
    *steps = *steps ? *steps + 1 : SCHEMA_FIRST;
    assert_int_equal(number, *steps);
    assert_true(strstr(name, ".sql") != NULL);
}

TEST_CASE_WITH(migrate__an_empty_database__fits_afterwards, create,
               trial_teardown)
{
    struct trial *trial = *state;
    struct schema_state schema = {9, 9};
    struct err err = {0};
    int steps = 0;
    assert_true(schema_read(trial->url, &schema, &err));
    assert_int_equal(schema.number, 0);
    assert_false(schema_fits(&schema, &err));
    assert_true(schema_migrate(trial->url, count_step, &steps, &err));
    assert_int_equal(steps, SCHEMA_NUMBER);
    /* Another salt would buy again what was bought. */
    trial_sql(trial, "CREATE TABLE salt_of_old AS SELECT salt FROM meta");
    assert_true(schema_migrate(trial->url, count_step, &steps, &err));
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM meta JOIN "
                                         "salt_of_old USING (salt)"),
                     1);
    assert_int_equal(steps, SCHEMA_NUMBER);
    assert_true(schema_read(trial->url, &schema, &err));
    assert_int_equal(schema.number, SCHEMA_NUMBER);
    assert_true(schema_fits(&schema, &err));
}

TEST_CASE_WITH(migrate__a_step_that_fails__leaves_nothing, create,
               trial_teardown)
{
    struct trial *trial = *state;
    struct err err = {0};
    trial_sql(trial, "CREATE TABLE account (in_the_way int)");
    assert_false(schema_migrate(trial->url, NULL, NULL, &err));
    assert_non_null(strstr(err.text, "0002_first.sql"));
    assert_int_equal(
        trial_number(trial, "SELECT count(*) FROM pg_tables WHERE schemaname = "
                            "'public'"),
        1);
    trial_sql(trial, "DROP TABLE account");
    assert_true(schema_migrate(trial->url, NULL, NULL, &err));
}

/** What others do goes on: neither is ended for the other's sake. */
TEST_CASE_WITH(migrate__tables_in_use__gives_way_and_tries_again, create,
               trial_teardown)
{
    struct trial *trial = *state;
    struct schema_state schema = {0};
    struct err err = {0};
    PGconn *other = PQconnectdb(trial->url);
    PQclear(PQexec(other, "SET deadlock_timeout = '60s'; BEGIN; CREATE TABLE "
                          "waiting (in_the_way int)"));
    /* Once it is waited for, it wants what the migration has made. */
    assert_int_equal(
        PQsendQuery(other,
                    "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE "
                    "NOT granted AND transactionid = "
                    "pg_current_xact_id()::xid) LOOP PERFORM pg_sleep(0.01); "
                    "END LOOP; END $$; CREATE TABLE request (in_the_way int); "
                    "ROLLBACK"),
        1);
    assert_true(schema_migrate(trial->url, NULL, NULL, &err));
    for (PGresult *each; (each = PQgetResult(other)); PQclear(each)) {
        assert_int_equal(PQresultStatus(each), PGRES_COMMAND_OK);
    }
    PQfinish(other);
    assert_true(schema_read(trial->url, &schema, &err));
    assert_int_equal(schema.number, SCHEMA_NUMBER);
}

TEST_CASE_WITH(migrate__a_schema_from_before__is_refused_in_words, create,
               trial_teardown)
{
    struct trial *trial = *state;
    struct err err = {0};
    trial_sql(trial, "CREATE TABLE meta AS SELECT true AS one, 1 AS number, 1 "
                     "AS program_min");
    assert_false(schema_migrate(trial->url, NULL, NULL, &err));
    assert_non_null(strstr(err.text, "empty database"));
    assert_int_equal(
        trial_number(trial, "SELECT count(*) FROM pg_tables WHERE schemaname = "
                            "'public'"),
        1);
    const struct schema_state before = {SCHEMA_FIRST - 1, 1};
    assert_false(schema_fits(&before, &err));
    assert_non_null(strstr(err.text, "empty database"));
}

TEST_CASE(read__nobody_there__is_transient)
{
    struct schema_state schema;
    struct err err = {0};
    assert_false(
        schema_read("postgresql://u:secret@127.0.0.1:1/x", &schema, &err));
    assert_int_equal(err.kind, ERR_TRANSIENT);
    assert_null(strstr(err.text, "secret"));
}

TEST_CASE(fits__older_and_newer__says_what_mends_it)
{
    struct err err = {0};
    const struct schema_state nothing = {0, 0};
    const struct schema_state newer = {SCHEMA_NUMBER + 1, PROGRAM_NUMBER};
    const struct schema_state beyond = {SCHEMA_NUMBER + 5, PROGRAM_NUMBER + 1};
    assert_false(schema_fits(&nothing, &err));
    assert_non_null(strstr(err.text, "migrate"));
    assert_true(schema_fits(&newer, &err));
    assert_false(schema_fits(&beyond, &err));
    assert_non_null(strstr(err.text, "newer release"));
}

struct seen {
    int rows;
    char last[100];
};

static void on_row(void *context, const char *const *names,
                   const struct str *values, size_t len)
{
    struct seen *seen = context;
    assert_true(len > 0);
    seen->rows++;
    snprintf(seen->last, sizeof seen->last, "%s=%.*s", names[0],
             (int)values[0].len, values[0].at ? values[0].at : "NULL");
}

TEST_CASE_WITH(inspect__a_query__gives_rows_by_name, create, trial_teardown)
{
    struct trial *trial = *state;
    struct err err = {0};
    struct seen seen = {0};
    assert_true(schema_migrate(trial->url, NULL, NULL, &err));
    struct inspect *inspect = inspect_open(trial->url, &err);
    assert_non_null(inspect);
    assert_true(inspect_rows(inspect, "schema", NULL, 0, on_row, &seen, &err));
    assert_int_equal(seen.rows, 1);
    assert_string_equal(seen.last, "number=2");
    const char *const params[] = {"name", "5", "{account}", "", "0", "{0}"};
    assert_true(inspect_rows(inspect, "join", params, 6, on_row, &seen, &err));
    assert_string_equal(seen.last, "id=1");
    const char *const faulty[] = {"name", "five", "{account}", "", "0", "{0}"};
    assert_false(inspect_rows(inspect, "join", faulty, 6, on_row, &seen, &err));
    assert_int_equal(err.kind, ERR_PERMANENT);
    inspect_close(inspect);
}

/** Only UTF8 keeps every text; others refuse some, or check none. */
TEST_CASE_WITH(migrate__another_encoding__is_refused, create, trial_teardown)
{
    static const char *const encodings[] = {"LATIN1", "SQL_ASCII", "EUC_JP"};
    struct trial *trial = *state;
    for (size_t i = 0; i < 3; i++) {
        char rest[100];
        char name[80];
        char url[sizeof trial->url];
        struct err err = {0};
        struct schema_state seen;
        snprintf(name, sizeof name, "%s_%zu", trial->name, i);
        snprintf(rest, sizeof rest,
                 " ENCODING '%s' LOCALE 'C' TEMPLATE template0", encodings[i]);
        trial_admin("CREATE", name, rest);
        trial_conninfo(name, url, sizeof url);
        assert_false(schema_migrate(url, NULL, NULL, &err));
        assert_non_null(strstr(err.text, encodings[i]));
        assert_non_null(strstr(err.text, "UTF8 is needed"));
        assert_false(schema_read(url, &seen, &err));
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_non_null(strstr(err.text, encodings[i]));

        /* A store on it is a misfit, and says the same. */
        char kept[sizeof trial->url];
        memcpy(kept, trial->url, sizeof kept);
        snprintf(trial->url, sizeof trial->url, "%s", url);
        trial->misfit = false;
        trial->store = trial_open_store(trial);
        while (!trial->misfit) {
            trial_wait(trial);
        }
        assert_non_null(strstr(trial->why, encodings[i]));
        assert_false(store_is_up(trial->store));
        store_close(trial->store);
        trial->store = NULL;
        memcpy(trial->url, kept, sizeof kept);
        trial_admin("DROP", name, " WITH (FORCE)");
    }
}

TESTS_RUN(NULL, NULL)
