#include "edge/store_trial.h"

#include "edge/pg/unit.h"

TEST(intake__new_rows__wait_in_the_queue)
{
    struct trial *trial = *state;
    struct intake_row rows[3];
    for (int i = 0; i < 3; i++) {
        rows[i] = trial_request(trial, 2 - i);
    }
    rows[1].deadline_seconds = 60;
    rows[1].priority = 9;
    struct intake_result result = trial_intake(trial, rows, 3);
    assert_int_equal(result.err.kind, ERR_NONE);
    assert_int_equal(result.len, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(result.verdicts[i], INTAKE_NEW);
        assert_true(trial_id(trial, rows[i].request_id) > 0);
    }
    assert_string_equal(
        trial_sql(trial,
                  "SELECT string_agg(concat_ws(':', priority, deadline_ms, "
                  "received_ms, fence, submission, account), ' ' ORDER BY id "
                  "DESC) FROM waiting"),
        "5:0:1800000000000:0:0: 9:1800000060000:1800000000000:0:0: "
        "5:0:1800000000000:0:0:");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 0);
}

TEST(intake__the_same_again__is_a_repeat)
{
    struct trial *trial = *state;
    struct intake_row row = trial_request(trial, 1);
    assert_int_equal(trial_intake(trial, &row, 1).verdicts[0], INTAKE_NEW);
    row.priority = 1;
    assert_int_equal(trial_intake(trial, &row, 1).verdicts[0], INTAKE_REPEAT);
    row.content[0] ^= 1;
    assert_int_equal(trial_intake(trial, &row, 1).verdicts[0], INTAKE_REUSED);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM request"), 1);
    assert_int_equal(trial_number(trial, "SELECT priority FROM request"), 5);
}

TEST(intake__older_than_ids_are_known__only_a_repeat_comes_in)
{
    struct trial *trial = *state;
    struct intake_row rows[6];
    for (int i = 0; i < 6; i++) {
        rows[i] = trial_request(trial, i);
        rows[i].produced_ms = TRIAL_NOW - 5000;
    }
    assert_int_equal(trial_intake(trial, rows, 2).verdicts[1], INTAKE_NEW);
    rows[1].content[0] ^= 1;
    rows[3].produced_ms = TRIAL_NOW;
    rows[4].produced_ms = 0; /* nobody can say that it is old */
    rows[5] = rows[3];
    rows[5].produced_ms = TRIAL_NOW - 5000; /* beside a newer one */
    const enum intake_verdict expected[] = {INTAKE_REPEAT,  INTAKE_REUSED,
                                            INTAKE_TOO_OLD, INTAKE_NEW,
                                            INTAKE_NEW,     INTAKE_REPEAT};
    struct intake_result result =
        trial_intake_from(trial, TRIAL_NOW - 4999, rows, 6);
    assert_int_equal(result.err.kind, ERR_NONE);
    assert_memory_equal(result.verdicts, expected, sizeof expected);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM request"), 4);
    assert_int_equal(
        trial_intake_from(trial, TRIAL_NOW - 5000, &rows[2], 1).verdicts[0],
        INTAKE_NEW);
}

TEST(intake__ids_were_forgotten__whatever_our_setting_says_now)
{
    struct trial *trial = *state;
    struct intake_row row = trial_request(trial, 1);
    row.produced_ms = TRIAL_NOW - 5000;
    trial_sql(trial, "UPDATE meta SET known_from_ms = %lld",
              (long long)TRIAL_NOW - 4999);
    assert_int_equal(trial_intake(trial, &row, 1).verdicts[0], INTAKE_TOO_OLD);
    assert_int_equal(trial_intake_from(trial, 1, &row, 1).verdicts[0],
                     INTAKE_TOO_OLD);
    trial_sql(trial, "UPDATE meta SET known_from_ms = 0");
    assert_int_equal(trial_intake(trial, &row, 1).verdicts[0], INTAKE_NEW);
}

TEST(intake__a_later_message_of_an_id__keeps_it_known_for_longer)
{
    struct trial *trial = *state;
    struct intake_row rows[2] = {trial_request(trial, 1),
                                 trial_request(trial, 1)};
    rows[0].produced_ms = TRIAL_NOW - 1000;
    static const char seen[] = "SELECT seen_ms - received_ms FROM request";
    assert_int_equal(trial_intake(trial, rows, 1).verdicts[0], INTAKE_NEW);
    assert_int_equal(trial_number(trial, seen), 0); /* received later */
    rows[0].produced_ms = TRIAL_NOW - 1;
    assert_int_equal(trial_intake(trial, rows, 1).verdicts[0], INTAKE_REPEAT);
    assert_int_equal(trial_number(trial, seen), 0);
    rows[1].produced_ms = TRIAL_NOW + 70;
    assert_int_equal(trial_intake(trial, rows, 2).verdicts[1], INTAKE_REPEAT);
    assert_int_equal(trial_number(trial, seen), 70);
    rows[1].produced_ms = TRIAL_NOW + 90;
    rows[1].content[0] ^= 1; /* else it would be bought after the topic is read
                              * again */
    assert_int_equal(trial_intake(trial, rows, 2).verdicts[1], INTAKE_REUSED);
    assert_int_equal(trial_number(trial, seen), 90);
    rows[0].produced_ms = 0;
    assert_int_equal(trial_intake(trial, rows, 1).verdicts[0], INTAKE_REPEAT);
    assert_string_equal(trial_sql(trial, "SELECT seen_ms FROM request"),
                        "9223372036854775807");
}

TEST(intake__one_id_twice_in_a_batch__the_first_wins)
{
    struct trial *trial = *state;
    struct intake_row rows[6];
    for (int i = 0; i < 6; i++) {
        rows[i] = trial_request(trial, i % 2);
    }
    rows[3].content[5] ^= 1; /* of r-00001, as 1 and 5 */
    struct intake_result result = trial_intake(trial, rows, 6);
    const enum intake_verdict expected[] = {INTAKE_NEW,    INTAKE_NEW,
                                            INTAKE_REPEAT, INTAKE_REUSED,
                                            INTAKE_REPEAT, INTAKE_REPEAT};
    assert_memory_equal(result.verdicts, expected, sizeof expected);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM request"), 2);
}

TEST(intake__one_id_twice_and_known__each_is_compared_with_the_row)
{
    struct trial *trial = *state;
    struct intake_row stored = trial_request(trial, 1);
    trial_intake(trial, &stored, 1);
    struct intake_row rows[4] = {stored, stored, stored,
                                 trial_request(trial, 2)};
    rows[0].content[0] ^= 1; /* the first is not what is stored, */
    rows[2].content[0] ^= 2; /* nor is this one */
    struct intake_result result = trial_intake(trial, rows, 4);
    const enum intake_verdict expected[] = {INTAKE_REUSED, INTAKE_REPEAT,
                                            INTAKE_REUSED, INTAKE_NEW};
    assert_memory_equal(result.verdicts, expected, sizeof expected);
}

TEST(intake__a_row_that_postgres_refuses__harms_no_other)
{
    struct trial *trial = *state;
    enum { LEN = 20 };
    struct intake_row rows[LEN];
    for (int i = 0; i < LEN; i++) {
        rows[i] = trial_request(trial, i);
    }
    trial_intake(trial, &rows[4], 1);
    rows[7].metadata = STR("\xff\xfe");
    rows[12].body = STR("nul \0 inside");
    struct intake_result result = trial_intake(trial, rows, LEN);
    assert_int_equal(result.err.kind, ERR_NONE);
    for (size_t i = 0; i < LEN; i++) {
        assert_int_equal(result.verdicts[i], i == 7 || i == 12 ? INTAKE_POISON
                                             : i == 4          ? INTAKE_REPEAT
                                                               : INTAKE_NEW);
    }
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"),
                     LEN - 2);
}

/** Nothing is quoted on the way, so nothing may be taken for more than it is.
 */
TEST(intake__any_text_and_number__is_stored_as_it_is)
{
    struct trial *trial = *state;
    static const char *const texts[] = {
        "",
        "NULL",
        "null",
        "{}",
        "a\"b,\"c",
        "\\",
        "\\x00",
        "'",
        "$1",
        " sp ace ",
        "\r\n\t\x01",
        "\xf0\x9f\x8e\xac\xcc\x81",
        "{\"k\":[1,\"\\u0041\"]}",
        "--; DROP TABLE request",
    };
    enum { LEN = sizeof texts / sizeof *texts };
    struct intake_row rows[LEN];
    for (int i = 0; i < LEN; i++) {
        rows[i] = trial_request(trial, i);
        rows[i].tenant = i ? str_of(texts[i]) : (struct str){0};
        rows[i].metadata = str_of(texts[i]);
        rows[i].tracestate = str_of(texts[LEN - 1 - i]);
        rows[i].traceparent = i % 2 ? STR("00") : (struct str){0};
        rows[i].body = str_of(texts[i]);
        rows[i].priority = i % 10;
        rows[i].deadline_seconds = i % 2 ? INT32_MAX + INT64_C(7) : 0;
    }
    struct intake_result result = trial_intake(trial, rows, LEN);
    assert_int_equal(result.err.kind, ERR_NONE);
    for (int i = 0; i < LEN; i++) {
        assert_int_equal(result.verdicts[i], INTAKE_NEW);
        const char *const columns[] = {"metadata", "body", "tenant",
                                       "tracestate"};
        const char *const expected[] = {texts[i], texts[i], texts[i],
                                        texts[LEN - 1 - i]};
        for (int c = 0; c < 4; c++) {
            assert_string_equal(
                trial_sql(trial,
                          "SELECT %s FROM request WHERE request_id = '%.*s'",
                          columns[c], (int)rows[i].request_id.len,
                          rows[i].request_id.at),
                expected[c]);
        }
    }
    assert_string_equal(
        trial_sql(trial,
                  "SELECT concat_ws(' ', count(*) FILTER (WHERE tenant IS "
                  "NULL), count(metadata), count(traceparent), "
                  "min(deadline_seconds), count(deadline_seconds), "
                  "min(octet_length(content)), max(priority)) FROM request"),
        "1 14 7 2147483654 7 32 9");
    assert_int_equal(/* else PostgreSQL took them one by one */
                     trial_number(
                         trial,
                         "SELECT count(DISTINCT xmin::text) FROM request"),
                     1);
}

/** Who took it for a repeat would lose it. */
TEST(intake__neither_inserted_nor_there__is_not_stored)
{
    struct trial *trial = *state;
    struct intake_row rows[3] = {trial_request(trial, 0),
                                 trial_request(trial, 1),
                                 trial_request(trial, 2)};
    trial_intake(trial, &rows[0], 1);
    trial_sql(trial, "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE "
                     "plpgsql AS 'BEGIN RETURN NULL; END'");
    trial_sql(trial, "CREATE TRIGGER swallow BEFORE INSERT ON request FOR EACH "
                     "ROW WHEN (new.request_id = 'r-00001') EXECUTE FUNCTION "
                     "swallow()");
    struct intake_result result = trial_intake(trial, rows, 3);
    assert_int_equal(result.err.kind, ERR_TRANSIENT);
    trial_sql(trial, "DROP TRIGGER swallow ON request");
    result = trial_intake(trial, rows, 3);
    const enum intake_verdict expected[] = {INTAKE_REPEAT, INTAKE_NEW,
                                            INTAKE_REPEAT};
    assert_int_equal(result.err.kind, ERR_NONE);
    assert_memory_equal(result.verdicts, expected, sizeof expected);
}

TEST(intake__at_fault__begins_as_failed_with_its_event)
{
    struct trial *trial = *state;
    struct intake_row rows[3];
    for (int i = 0; i < 3; i++) {
        rows[i] = trial_request(trial, i);
    }
    rows[1].tenant = (struct str){0};
    rows[1].body = (struct str){0};
    rows[1].metadata = (struct str){0};
    rows[1].mode = MODE_NONE;
    rows[1].warnings = STR("[{\"code\":\"no_effect\"}]");
    rows[1].event = STR("{\"the\":\"event\"}");
    struct intake_result result = trial_intake(trial, rows, 3);
    assert_int_equal(result.verdicts[1], INTAKE_NEW);
    assert_string_equal(
        trial_sql(trial,
                  "SELECT t.state || ' ' || t.kind || ' ' || t.owner || ' ' || "
                  "t.settled_ms || ' ' || c.event || ' ' || (r.tenant IS NULL "
                  "AND r.body IS NULL) || ' ' || r.warnings FROM task t JOIN "
                  "request r USING (id) JOIN closed c USING (id) WHERE id = "
                  "%lld AND t.event IS NULL",
                  (long long)trial_id(trial, rows[1].request_id)),
        "5 1 0 1800000000000 {\"the\":\"event\"} true "
        "[{\"code\":\"no_effect\"}]");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"), 2);
}

TEST(intake__two_stores_at_once__each_id_is_new_once)
{
    enum { LEN = 200 };
    struct trial *trial = *state;
    struct intake_row *rows = arena_alloc(&trial->arena, LEN * sizeof *rows);
    struct intake_row *back = arena_alloc(&trial->arena, LEN * sizeof *back);
    for (int i = 0; i < LEN; i++) {
        rows[i] = trial_request(trial, i);
        back[LEN - 1 - i] = rows[i];
    }
    struct store *second = trial_open_store(trial);
    while (!store_is_up(second)) {
        trial_wait(trial);
    }
    struct trial_answer answers[2] = {{.trial = trial}, {.trial = trial}};
    store_intake(trial->store, 0, 0, rows, LEN, trial_on_intake, &answers[0]);
    store_intake(second, 0, 0, back, LEN, trial_on_intake, &answers[1]);
    while (!answers[0].intake.len || !answers[1].intake.len) {
        trial_wait(trial);
    }
    store_close(second);
    for (size_t i = 0; i < LEN; i++) {
        enum intake_verdict one = answers[0].intake.verdicts[i];
        enum intake_verdict other = answers[1].intake.verdicts[LEN - 1 - i];
        assert_true((one == INTAKE_NEW && other == INTAKE_REPEAT) ||
                    (one == INTAKE_REPEAT && other == INTAKE_NEW));
    }
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"), LEN);
}

/** They are looked for before they are there, and there, one after the other,
 * when it comes to the insert: the others of the batch come in all the same. */
TEST(intake__ids_that_others_bring_meanwhile__are_repeats)
{
    struct trial *trial = *state;
    struct trial_answer answer = {.trial = trial};
    PGconn *conns[] = {trial->conn, PQconnectdb(trial->url)};
    struct intake_row rows[4];
    for (int i = 0; i < 4; i++) {
        rows[i] = trial_request(trial, i);
    }
    answer.intake.len = SIZE_MAX;
    trial_intake(trial, &rows[1], 2);
    trial_sql(trial, "CREATE TABLE aside AS SELECT * FROM request");
    trial_sql(trial, "DELETE FROM request");
    for (int i = 0; i < 2; i++) {
        trial->conn = conns[i];
        trial_sql(trial, "BEGIN");
        trial_sql(trial,
                  "INSERT INTO request OVERRIDING SYSTEM VALUE "
                  "SELECT * FROM aside WHERE request_id = 'r-%05d'",
                  i + 1);
    }
    store_intake(trial->store, 0, 0, rows, 4, trial_on_intake, &answer);
    for (int i = 0; i < 2; i++) {
        trial->conn = conns[i];
        do {
            (void)trial_count(trial, false);
        } while (answer.intake.len == SIZE_MAX && trial_waiter(trial) == 0);
        assert_int_equal(answer.intake.len, SIZE_MAX);
        trial_sql(trial, "COMMIT");
    }
    while (answer.intake.len == SIZE_MAX) {
        trial_wait(trial);
    }
    PQfinish(conns[1]);
    trial->conn = conns[0];
    const enum intake_verdict expected[] = {INTAKE_NEW, INTAKE_REPEAT,
                                            INTAKE_REPEAT, INTAKE_NEW};
    assert_int_equal(answer.intake.err.kind, ERR_NONE);
    assert_memory_equal(answer.intake.verdicts, expected, sizeof expected);
}

/** A batch is one transaction, however many rows: its pace is printed, for
 * tests/bench judges that. */
TEST(intake__many_rows__come_in_one_commit)
{
    enum { LEN = 500 };
    struct trial *trial = *state;
    int64_t best_us = INT64_MAX;
    for (int round = 0; round < 5; round++) {
        struct intake_row *rows =
            arena_alloc(&trial->arena, LEN * sizeof *rows);
        for (int i = 0; i < LEN; i++) {
            rows[i] = trial_request(trial, round * LEN + i);
        }
        int64_t began_us = loop_boot_us(trial->loop);
        trial_intake(trial, rows, LEN);
        int64_t took_us = loop_boot_us(trial->loop) - began_us;
        best_us = took_us < best_us ? took_us : best_us;
        assert_int_equal(
            trial_number(trial,
                         "SELECT count(DISTINCT xmin::text) FROM request"),
            round + 1);
    }
    print_message("%d rows taken in in %.1f ms at best\n", LEN,
                  (double)best_us / 1000);
}

/* ---- what is no fault of the data ---- */

/** The batch comes again, as often as it has to; nothing of it is lost. */
static void comes_again(struct trial *trial, const char *breaks,
                        const char *mends)
{
    static int number = 100;
    struct intake_row rows[2] = {trial_request(trial, number),
                                 trial_request(trial, number + 1)};
    number += 2;
    trial_sql(trial, "%s", breaks);
    struct intake_result result = trial_intake(trial, rows, 2);
    assert_int_equal(result.err.kind, ERR_PERMANENT);
    assert_non_null(strstr(result.err.text, "SQLSTATE"));
    trial_sql(trial, "%s", mends);
    trial_wait_up(trial);
    result = trial_intake(trial, rows, 2);
    assert_int_equal(result.err.kind, ERR_NONE);
    assert_int_equal(result.verdicts[0], INTAKE_NEW);
    assert_int_equal(result.verdicts[1], INTAKE_NEW);
}

TEST(intake__the_database_is_at_fault__no_request_is)
{
    struct trial *trial = *state;
    trial_requests(trial, 50);
    comes_again(trial, "ALTER SEQUENCE request_id_seq RESTART",
                "SELECT setval('request_id_seq', 100)");
    comes_again(trial, "ALTER SEQUENCE request_id_seq MAXVALUE 102",
                "ALTER SEQUENCE request_id_seq NO MAXVALUE");
    comes_again(trial,
                "ALTER TABLE request ADD CONSTRAINT c CHECK (mode = 9) NOT "
                "VALID",
                "ALTER TABLE request DROP CONSTRAINT c");
    assert_int_equal(trial->downs, 0); /* a new connection would not help */
    comes_again(trial, "ALTER TABLE waiting RENAME TO elsewhere",
                "ALTER TABLE elsewhere RENAME TO waiting");
    assert_true(trial->downs > 0); /* once more, if it is hard to be had */
}

TEST_CASE(sqlstate__each_class__means_what_is_to_be_done)
{
    static const struct {
        const char *sqlstate;
        bool refused;
        bool constraint;
        bool strange;
    } cases[] = {
        {"22P02", true, false, false},  {"22021", true, false, false},
        {"22003", true, false, false},  {"54000", true, false, false},
        {"2200H", false, false, true},  {"22P05", false, false, true},
        {"23505", false, true, true},   {"23514", false, true, true},
        {"42P01", false, false, true},  {"42501", false, false, true},
        {"53100", false, false, true},  {"XX001", false, false, true},
        {"57014", false, false, false}, {"57P01", false, false, false},
        {"08006", false, false, false}, {"40001", false, false, false},
        {"55P03", false, false, false}, {"25006", false, false, false},
        {"", false, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pg_unit unit = {0};
        snprintf(unit.sqlstate, sizeof unit.sqlstate, "%s", cases[i].sqlstate);
        assert_int_equal(pg_unit_is_refused(&unit), cases[i].refused);
        assert_int_equal(pg_unit_is_constraint(&unit), cases[i].constraint);
        assert_int_equal(pg_unit_is_strange(&unit), cases[i].strange);
    }
}

/* ---- together with a turn ---- */

struct both {
    struct turn_result turn;
    struct intake_result intake;
};

/** Saves that row, and takes in those. */
static struct both together(struct trial *trial, int64_t owner,
                            const struct task_row *row,
                            const struct intake_row *rows, size_t len)
{
    struct trial_answer of_turn = {.trial = trial, .id = 1};
    struct trial_answer of_intake = {.trial = trial};
    const struct turn turn = {.owner = owner,
                              .now_ms = TRIAL_NOW + 1000,
                              .account = TRIAL_ACCOUNT,
                              .bucket = "bucket",
                              .saves = &row,
                              .saves_len = 1,
                              .claims_max = 1};
    store_together(trial->store);
    store_turn(trial->store, &turn, trial_on_turn, &of_turn);
    store_intake(trial->store, 0, 0, rows, len, trial_on_intake, &of_intake);
    store_go(trial->store);
    while (!of_turn.turn.saves || !of_intake.intake.verdicts) {
        trial_wait(trial);
    }
    return (struct both){of_turn.turn, of_intake.intake};
}

static struct task_row running(struct trial *trial, int64_t owner)
{
    struct task_row row = trial_claim_one(trial, owner);
    row.state = RUNNING;
    row.version++;
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "task_1");
    return row;
}

TEST(together__a_turn_and_a_batch__are_one_transaction)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 2);
    const struct task_row row = running(trial, me);
    const struct intake_row request = trial_request(trial, 7);
    const struct both both = together(trial, me, &row, &request, 1);
    assert_int_equal(both.turn.saves[0], SAVE_DONE);
    assert_int_equal(both.turn.claimed_len, 1);
    assert_int_equal(both.intake.verdicts[0], INTAKE_NEW);
    assert_int_equal(
        trial_number(trial, "SELECT count(DISTINCT x) FROM (SELECT xmin::text "
                            "AS x FROM task UNION ALL SELECT xmin::text FROM "
                            "request WHERE request_id = 'r-00007') t"),
        1);
}

TEST(together__one_of_both_is_refused__the_other_is_stored)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 2);
    struct task_row row = running(trial, me);
    struct intake_row requests[] = {trial_request(trial, 7),
                                    trial_request(trial, 8)};
    requests[1].metadata = STR("not UTF-8: \xff");
    struct both both = together(trial, me, &row, requests, 2);
    assert_int_equal(both.turn.saves[0], SAVE_DONE);
    assert_int_equal(both.intake.verdicts[0], INTAKE_NEW);
    assert_int_equal(both.intake.verdicts[1], INTAKE_POISON);
    row.version++;
    row.result = (char *)"\xc0\x80";
    requests[1] = trial_request(trial, 9);
    both = together(trial, me, &row, &requests[1], 1);
    assert_int_equal(both.turn.saves[0], SAVE_POISON);
    assert_int_equal(both.intake.verdicts[0], INTAKE_NEW);
}

/** Another worker is about to store the same request: a save does not wait for
 * that, as the batch must. */
TEST(together__the_batch_waits_for_another__the_turn_goes_alone)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 2);
    const struct task_row row = running(trial, me);
    const struct intake_row request = trial_request(trial, 7);
    PQclear(PQexec(trial->conn, "BEGIN"));
    trial_sql(trial,
              "INSERT INTO request (request_id, content, mode, priority, "
              "warnings, received_ms) VALUES ('r-00007', 'x', 1, 5, "
              "'[]', 1)");
    struct trial_answer of_turn = {.trial = trial, .id = 1};
    struct trial_answer of_intake = {.trial = trial};
    const struct task_row *rows[] = {&row};
    const struct turn turn = {.owner = me,
                              .now_ms = TRIAL_NOW + 1000,
                              .account = TRIAL_ACCOUNT,
                              .bucket = "bucket",
                              .saves = rows,
                              .saves_len = 1};
    store_together(trial->store);
    store_turn(trial->store, &turn, trial_on_turn, &of_turn);
    store_intake(trial->store, 0, 0, &request, 1, trial_on_intake, &of_intake);
    store_go(trial->store);
    while (!of_turn.turn.saves) {
        trial_wait(trial);
    }
    assert_int_equal(of_turn.turn.saves[0], SAVE_DONE);
    assert_null(of_intake.intake.verdicts);
    PQclear(PQexec(trial->conn, "ROLLBACK"));
    while (!of_intake.intake.verdicts) {
        trial_wait(trial);
    }
    assert_int_equal(of_intake.intake.verdicts[0], INTAKE_NEW);
}

TESTS_RUN(NULL, NULL)
