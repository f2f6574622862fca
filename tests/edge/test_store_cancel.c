#include "edge/store_trial.h"

/* Orders to cancel that come as messages, before their requests or after. */

static struct intake_row cancel_of(struct trial *trial, int number)
{
    const struct intake_row row = trial_request(trial, number);
    return (struct intake_row){.request_id = row.request_id,
                               .tenant = row.tenant,
                               .received_ms = row.received_ms,
                               .cancel = true};
}

static enum intake_verdict order(struct trial *trial, struct intake_row row)
{
    const struct intake_result result = trial_intake(trial, &row, 1);
    assert_int_equal(result.err.kind, ERR_NONE);
    return result.verdicts[0];
}

TEST(cancel__of_what_is_there__is_an_order_like_an_operators)
{
    struct trial *trial = *state;
    static const struct {
        const char *is; /* what becomes of the request */
        enum intake_verdict verdict;
    } rows[] = {
        {"SELECT 1", INTAKE_CANCELLED},
        {"UPDATE task SET state = 1", INTAKE_CANCELLED},
        {"UPDATE task SET state = 2", INTAKE_CANCELLED},
        {"UPDATE task SET state = 3", INTAKE_CANCEL_LATE},
        {"UPDATE task SET state = 4", INTAKE_CANCEL_LATE},
        {"UPDATE task SET state = 5, kind = 6", INTAKE_CANCEL_LATE},
        {"UPDATE task SET state = 5, kind = 5", INTAKE_CANCELLED},
        {"UPDATE task SET state = 6, kind = 6", INTAKE_CANCELLED},
        {"DELETE FROM task", INTAKE_CANCEL_LATE},
        {"UPDATE request SET tenant = 'other'", INTAKE_CANCEL_TENANT},
        {"UPDATE request SET tenant = NULL", INTAKE_CANCEL_LATE},
    };
    enum { LEN = sizeof rows / sizeof *rows };
    struct intake_row orders[LEN];
    for (int i = 0; i < LEN; i++) {
        const struct intake_row row = trial_request(trial, i);
        trial_intake(trial, &row, 1);
        const int64_t id = trial_id(trial, row.request_id);
        const bool of_request = strstr(rows[i].is, "request") != NULL;
        if (i > 0 && !of_request) {
            trial_sql(trial,
                      "WITH w AS (DELETE FROM waiting WHERE id = %lld "
                      "RETURNING *) INSERT INTO task (" TRIAL_TASK_COLUMNS
                      ") SELECT id, 0, 0, 0, 0, 0, 0, false, false, false, "
                      "'', '', received_ms, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "
                      "0, false, 0, 0 FROM w",
                      (long long)id);
        }
        trial_sql(trial, i ? "%s WHERE id = %lld" : "%s", rows[i].is,
                  (long long)id);
        orders[i] = cancel_of(trial, i);
    }
    const struct intake_result result = trial_intake(trial, orders, LEN);
    int64_t ordered = 0;
    for (int i = 0; i < LEN; i++) {
        assert_int_equal(result.verdicts[i], rows[i].verdict);
        ordered += result.verdicts[i] == INTAKE_CANCELLED;
    }
    /* All of these but the one that is cancelled already. */
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM cancel"),
                     ordered - 1);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM early_cancel"),
                     0);
}

TEST(cancel__before_its_request__is_kept_a_day_and_ends_it)
{
    struct trial *trial = *state;
    const int64_t day_ms = 86400000;
    struct intake_row early = cancel_of(trial, 1);
    struct intake_row other = cancel_of(trial, 2);
    struct intake_row old = cancel_of(trial, 3);
    other.tenant = STR("other");
    old.received_ms = TRIAL_NOW - day_ms;
    assert_int_equal(order(trial, early), INTAKE_CANCEL_KEPT);
    assert_int_equal(order(trial, early), INTAKE_CANCEL_KEPT);
    assert_int_equal(order(trial, other), INTAKE_CANCEL_KEPT);
    assert_int_equal(order(trial, old), INTAKE_CANCEL_KEPT);
    struct intake_row rows[4];
    for (int i = 0; i < 4; i++) {
        rows[i] = trial_request(trial, i);
    }
    const struct intake_result result = trial_intake(trial, rows, 4);
    assert_int_equal(result.verdicts[1], INTAKE_NEW);
    assert_string_equal(
        trial_sql(trial, "SELECT string_agg(request_id, ' ') FROM request "
                         "WHERE id IN (SELECT task FROM cancel)"),
        "r-00001");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"), 4);
}

TEST(cancel__with_its_request_in_one_batch__holds_in_any_order)
{
    struct trial *trial = *state;
    struct intake_row rows[8] = {
        cancel_of(trial, 1), trial_request(trial, 1), trial_request(trial, 2),
        cancel_of(trial, 2), cancel_of(trial, 2),     trial_request(trial, 3),
        cancel_of(trial, 3), cancel_of(trial, 4),
    };
    rows[6].tenant = STR("other");
    const enum intake_verdict expected[] = {
        INTAKE_CANCELLED, INTAKE_NEW, INTAKE_NEW,           INTAKE_CANCELLED,
        INTAKE_CANCELLED, INTAKE_NEW, INTAKE_CANCEL_TENANT, INTAKE_CANCEL_KEPT};
    const struct intake_result result = trial_intake(trial, rows, 8);
    assert_int_equal(result.err.kind, ERR_NONE);
    assert_memory_equal(result.verdicts, expected, sizeof expected);
    assert_string_equal(
        trial_sql(trial, "SELECT string_agg(request_id, ' ' ORDER BY id) FROM "
                         "request WHERE id IN (SELECT task FROM cancel)"),
        "r-00001 r-00002");
}

TEST(cancel__of_an_id_that_may_be_forgotten__is_too_old)
{
    struct trial *trial = *state;
    struct intake_row row = cancel_of(trial, 1);
    row.produced_ms = TRIAL_NOW - 5000;
    assert_int_equal(
        trial_intake_from(trial, TRIAL_NOW - 4999, &row, 1).verdicts[0],
        INTAKE_TOO_OLD);
    row.produced_ms = 0;
    assert_int_equal(
        trial_intake_from(trial, TRIAL_NOW - 4999, &row, 1).verdicts[0],
        INTAKE_CANCEL_KEPT);
}

/** Begins an intake, and turns until it waits for a lock, or has not. */
static void begin_to_wait(struct trial *trial, const struct intake_row *row,
                          struct trial_answer *answer)
{
    *answer = (struct trial_answer){.trial = trial};
    answer->intake.len = SIZE_MAX;
    store_intake(trial->store, 0, 0, row, 1, trial_on_intake, answer);
    do {
        (void)trial_count(trial, false);
    } while (answer->intake.len == SIZE_MAX && trial_waiter(trial) == 0);
    assert_int_equal(answer->intake.len, SIZE_MAX);
}

/** Neither sees the other: one of them has to wait. */
TEST(cancel__while_its_request_is_on_its_way__finds_it)
{
    struct trial *trial = *state;
    struct trial_answer answer;
    const struct intake_row row = cancel_of(trial, 1);
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "SELECT pg_advisory_xact_lock_shared(7264930523)");
    trial_sql(trial,
              "WITH r AS (INSERT INTO request (request_id, content, tenant, "
              "mode, priority, warnings, received_ms) VALUES ('r-00001', '', "
              "'default', 1, 5, '[]', 0) RETURNING id) INSERT INTO waiting "
              "SELECT id, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, '' FROM r");
    begin_to_wait(trial, &row, &answer);
    trial_sql(trial, "COMMIT");
    trial_await(&answer);
    assert_int_equal(answer.intake.verdicts[0], INTAKE_CANCELLED);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM cancel"), 1);
}

TEST(intake__while_an_order_for_it_is_kept__finds_that)
{
    struct trial *trial = *state;
    struct trial_answer answer;
    const struct intake_row row = trial_request(trial, 1);
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "SELECT pg_advisory_xact_lock(7264930523)");
    trial_sql(trial,
              "INSERT INTO early_cancel VALUES ('r-00001', 'default', %lld)",
              (long long)TRIAL_NOW);
    begin_to_wait(trial, &row, &answer);
    trial_sql(trial, "COMMIT");
    trial_await(&answer);
    assert_int_equal(answer.intake.verdicts[0], INTAKE_NEW);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM cancel"), 1);
}

TEST(count__orders_that_were_kept_a_day__are_gone)
{
    struct trial *trial = *state;
    trial_sql(trial,
              "INSERT INTO early_cancel SELECT 'r-' || n, 'default', "
              "(extract(epoch FROM now()) * 1000)::bigint - 86400000 + n "
              "FROM unnest(ARRAY[0, 600000]) AS n");
    (void)trial_count(trial, false);
    assert_string_equal(
        trial_sql(trial,
                  "SELECT string_agg(request_id, ' ') FROM early_cancel"),
        "r-600000");
}

TESTS_RUN(NULL, NULL)
