#include "edge/accepted.h"
#include "edge/store_trial.h"

/* What is to be told of requests that were taken in (ACCEPTED_EVENTS). */

static int setup(void **state)
{
    (void)trial_setup(state);
    struct trial *trial = *state;
    struct err err = {0};
    const struct store_options options = {.url = trial->url,
                                          .name = "trial",
                                          .lease_ms = TRIAL_LEASE_MS,
                                          .accepted_events = true};
    store_close(trial->store);
    trial->store =
        store_open(trial->loop, &options, trial_on_state, trial, &err);
    assert_non_null(trial->store);
    trial_wait_up(trial);
    return 0;
}

struct owed {
    struct trial *trial;
    struct facts_row *rows;
    size_t len;
};

static void on_owed(void *context, const struct accepted_result *result)
{
    struct owed *owed = context;
    assert_int_equal(result->err.kind, ERR_NONE);
    owed->rows = trial_copy_facts(owed->trial, result->rows, result->len);
    owed->len = result->len;
    loop_stop(owed->trial->loop);
}

static struct owed ask(struct trial *trial, int64_t owner, bool orphans,
                       const int64_t *told, size_t told_len)
{
    struct owed owed = {.trial = trial};
    const struct accepted_ask asked = {owner, orphans, told, told_len};
    store_accepted(trial->store, &asked, on_owed, &owed);
    trial_wait(trial);
    return owed;
}

static void take_in(struct trial *trial, int64_t owner,
                    const struct intake_row *rows, size_t len)
{
    struct trial_answer answer = {.trial = trial};
    store_intake(trial->store, owner, 0, rows, len, trial_on_intake, &answer);
    trial_await(&answer);
    assert_int_equal(answer.intake.err.kind, ERR_NONE);
}

#define TEST_OWED(name) TEST_CASE_WITH(name, setup, trial_teardown)

TEST_OWED(accepted__of_new_and_good_requests__is_owed_until_it_is_told)
{
    struct trial *trial = *state;
    const int64_t owner = trial_join(trial);
    struct intake_row rows[4];
    for (int i = 0; i < 4; i++) {
        rows[i] = trial_request(trial, i);
    }
    rows[2].body = (struct str){0}; /* at fault */
    rows[2].event = STR("event/2\n");
    rows[3] = rows[0]; /* the same again */
    take_in(trial, owner, rows, 4);
    take_in(trial, owner, rows, 4);
    struct owed owed = ask(trial, owner, false, NULL, 0);
    assert_int_equal(owed.len, 2);
    const struct facts *facts = &owed.rows[0].facts;
    assert_true(str_eq(facts->request_id, rows[0].request_id));
    assert_true(str_eq(facts->tenant, rows[0].tenant));
    assert_true(str_eq(facts->metadata, rows[0].metadata));
    assert_true(str_eq(facts->warnings, rows[0].warnings));
    assert_true(str_eq(facts->traceparent, rows[0].traceparent));
    assert_int_equal(facts->mode, rows[0].mode);
    assert_int_equal(facts->received_ms, rows[0].received_ms);
    assert_int_equal(ask(trial, owner, false, &owed.rows[0].id, 1).len, 1);
    assert_int_equal(ask(trial, owner, false, &owed.rows[1].id, 1).len, 0);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM accepted"), 0);
}

TEST_OWED(accepted__of_another__is_told_by_who_asks_for_orphans_once_it_is_dead)
{
    struct trial *trial = *state;
    const int64_t one = trial_join(trial);
    const int64_t other = trial_join(trial);
    const struct intake_row row = trial_request(trial, 1);
    take_in(trial, one, &row, 1);
    assert_int_equal(ask(trial, other, true, NULL, 0).len, 0);
    assert_true(trial_bury(trial, one));
    assert_int_equal(ask(trial, other, false, NULL, 0).len, 0);
    assert_int_equal(ask(trial, other, true, NULL, 0).len, 1);
}

TEST_OWED(accepted__of_what_is_pruned_or_forgotten__has_no_tenant)
{
    struct trial *trial = *state;
    const int64_t owner = trial_join(trial);
    struct intake_row rows[2] = {trial_request(trial, 1),
                                 trial_request(trial, 2)};
    take_in(trial, owner, rows, 2);
    trial_sql(trial, "UPDATE request SET tenant = NULL, pruned_ms = 1 WHERE "
                     "request_id = 'r-00001'");
    trial_sql(trial, "DELETE FROM request WHERE request_id = 'r-00002'");
    struct owed owed = ask(trial, owner, false, NULL, 0);
    assert_int_equal(owed.len, 2);
    assert_int_equal(owed.rows[0].facts.tenant.len, 0);
    assert_int_equal(owed.rows[1].facts.tenant.len, 0);
}

TEST_OWED(accepted__beyond_what_one_ask_takes__comes_with_the_next)
{
    struct trial *trial = *state;
    const int64_t owner = trial_join(trial);
    enum { LEN = ACCEPTED_MAX + 1 };
    static struct intake_row rows[LEN];
    static int64_t told[LEN];
    for (int i = 0; i < LEN; i++) {
        rows[i] = trial_request(trial, i);
    }
    take_in(trial, owner, rows, LEN);
    const struct owed owed = ask(trial, owner, false, NULL, 0);
    assert_int_equal(owed.len, ACCEPTED_MAX);
    for (size_t i = 0; i < owed.len; i++) {
        told[i] = owed.rows[i].id;
    }
    assert_int_equal(ask(trial, owner, false, told, owed.len).len, 1);
}

TEST(accepted__where_it_is_off__is_not_owed)
{
    struct trial *trial = *state;
    const int64_t owner = trial_join(trial);
    const struct intake_row row = trial_request(trial, 1);
    take_in(trial, owner, &row, 1);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM accepted"), 0);
}

TESTS_RUN(NULL, NULL)
