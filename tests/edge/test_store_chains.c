#include "edge/pg/pg.h"
#include "edge/store_trial.h"

/* Rows that wait for the request that they extend. */

/** r-<number> extends r-<source>. */
static struct intake_row extending(struct trial *trial, int number, int source)
{
    struct intake_row row = trial_request(trial, number);
    row.mode = MODE_EXTEND;
    row.source = str_of(arena_printf(&trial->arena, "r-%05d", source));
    return row;
}

static void take_in(struct trial *trial, struct intake_row row)
{
    struct intake_result result = trial_intake(trial, &row, 1);
    assert_int_equal(result.err.kind, ERR_NONE);
    assert_int_equal(result.verdicts[0], INTAKE_NEW);
}

/** How those stand that wait, by their ids. */
static const char *waits(struct trial *trial)
{
    return trial_sql(
        trial,
        "SELECT coalesce(string_agg(concat_ws(' ', right(request_id, 1), "
        "CASE WHEN w.source IS NULL THEN 'free' ELSE 'blocked' END, "
        "w.source_task_id, w.kind), ', ' ORDER BY w.id), '') "
        "FROM waiting w JOIN request r USING (id)");
}

/** The source, claimed and under way. */
static struct task_row run_source(struct trial *trial, int64_t me)
{
    struct task_row row = trial_claim_one(trial, me);
    row.state = RUNNING;
    row.submitted_ms = TRIAL_NOW;
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "task_a");
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    return row;
}

/** Its next state; what the turn says of those that wait for it. */
static struct unblocked go_on(struct trial *trial, int64_t me,
                              struct task_row *row, enum task_state state,
                              enum failure_kind kind)
{
    const struct task_row *rows[] = {row};
    row->version++;
    row->state = state;
    row->kind = kind;
    row->event =
        state == SUCCEEDED || state == FAILED ? (char *)"the event" : NULL;
    struct turn_result result = trial_good_turn(
        trial, (struct turn){.owner = me, .saves = rows, .saves_len = 1});
    assert_int_equal(result.saves[0], SAVE_DONE);
    return result.unblocked;
}

static struct turn_result expire(struct trial *trial, int64_t me,
                                 int64_t now_ms, int64_t chain_wait_ms)
{
    return trial_good_turn(trial,
                           (struct turn){.owner = me,
                                         .expires_max = 9,
                                         .now_ms = now_ms,
                                         .chain_wait_ms = chain_wait_ms});
}

TEST(a_chain__waits_in_the_queue__and_no_claim_sees_it)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    take_in(trial, extending(trial, 1, 0));
    take_in(trial, trial_request(trial, 2));
    assert_string_equal(waits(trial), "1 blocked 0, 2 free 0");
    assert_string_equal(
        trial_sql(trial, "SELECT source FROM request WHERE source IS NOT NULL"),
        "r-00000");
    struct count_result count = trial_count(trial, false);
    assert_int_equal(count.queued, 1);
    assert_int_equal(count.blocked, 1);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 5});
    assert_int_equal(result.claimed_len, 1);
    assert_true(str_eq(result.claimed[0].request_id, STR("r-00002")));
    assert_null(result.claimed[0].row.source_task_id);
}

TEST(the_source__ready__frees_it_in_that_unit)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    take_in(trial, trial_request(trial, 0));
    struct task_row a = run_source(trial, me);
    take_in(trial, extending(trial, 1, 0));
    struct unblocked news = go_on(trial, me, &a, READY, FAILURE_NONE);
    assert_int_equal(news.freed, 1);
    assert_int_equal(news.marked, 0);
    assert_string_equal(waits(trial), "1 free task_a 0");
    struct task_row b = trial_claim_one(trial, me);
    assert_string_equal(b.source_task_id, "task_a");
    /* It keeps it wherever it goes. */
    b.state = QUEUED;
    assert_int_equal(trial_save(trial, me, &b), SAVE_DONE);
    assert_string_equal(waits(trial), "1 free task_a 0");
    b = trial_claim_one(trial, me);
    assert_string_equal(b.source_task_id, "task_a");
    b.state = FAILED;
    b.kind = FAILURE_CANCELLED;
    b.event = (char *)"the event";
    assert_int_equal(trial_save(trial, me, &b), SAVE_DONE);
    assert_string_equal(trial_sql(trial, "SELECT source_task_id FROM closed"),
                        "task_a");
    assert_string_equal(
        trial_sql(trial, "SELECT source_task_id IS NULL FROM task WHERE id = "
                         "(SELECT id FROM closed)"),
        "t");
}

TEST(the_source__settled_whatever_became_of_our_copy__frees_it)
{
    static const enum failure_kind kinds[] = {
        FAILURE_NONE, FAILURE_ASSET_EXPIRED, FAILURE_ASSET_UNUSABLE};
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    for (int i = 0; i < 3; i++) {
        take_in(trial, trial_request(trial, 2 * i));
        struct task_row a = run_source(trial, me);
        take_in(trial, extending(trial, 2 * i + 1, 2 * i));
        struct unblocked news =
            go_on(trial, me, &a, kinds[i] ? FAILED : SUCCEEDED, kinds[i]);
        assert_int_equal(news.freed, 1);
        struct task_row b = trial_claim_one(trial, me);
        assert_string_equal(b.source_task_id, "task_a");
        assert_string_equal(b.account, TRIAL_ACCOUNT);
    }
}

TEST(the_source__failed_for_good__marks_it_to_be_settled)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    take_in(trial, trial_request(trial, 0));
    struct task_row a = run_source(trial, me);
    take_in(trial, extending(trial, 1, 0));
    take_in(trial, extending(trial, 2, 1));
    struct unblocked news =
        go_on(trial, me, &a, FAILED, FAILURE_PROVIDER_FAILED);
    assert_int_equal(news.marked, 1);
    assert_int_equal(news.freed, 0);
    assert_string_equal(waits(trial), "1 blocked 11, 2 blocked 0");
    struct turn_result result = expire(trial, me, TRIAL_NOW + 1000, 86400000);
    assert_int_equal(result.expired_len, 1);
    struct task_row b = result.expired[0].row;
    assert_int_equal(b.state, QUEUED);
    assert_int_equal(b.kind, FAILURE_SOURCE_FAILED);
    assert_int_equal(b.not_before_ms, TRIAL_NOW); /* since when it waited */
    /* Another that takes it over knows as much. */
    trial_bury(trial, me);
    me = trial_join(trial);
    result =
        trial_good_turn(trial, (struct turn){.owner = me, .adopts_max = 9});
    for (size_t i = 0; i < result.adopted_len; i++) {
        b = result.adopted[i].row.state == QUEUED ? result.adopted[i].row : b;
    }
    assert_int_equal(b.owner, me);
    assert_int_equal(b.kind, FAILURE_SOURCE_FAILED);
    news = go_on(trial, me, &b, FAILED, FAILURE_SOURCE_FAILED);
    assert_int_equal(news.marked, 1);
    assert_string_equal(waits(trial), "2 blocked 11");
}

/** Until nothing is awaited of it any more. */
TEST(the_source__told_as_timed_out__is_waited_for)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    take_in(trial, trial_request(trial, 0));
    struct task_row a = run_source(trial, me);
    take_in(trial, extending(trial, 1, 0));
    struct unblocked news = go_on(trial, me, &a, FAILED, FAILURE_TIMED_OUT);
    assert_int_equal(news.marked + news.freed, 0);
    news = go_on(trial, me, &a, LATE, FAILURE_TIMED_OUT);
    assert_int_equal(news.marked + news.freed, 0);
    assert_string_equal(waits(trial), "1 blocked 0");
    news = go_on(trial, me, &a, CLOSED, FAILURE_TIMED_OUT);
    assert_int_equal(news.marked, 1);
    assert_string_equal(waits(trial), "1 blocked 11");
}

TEST(intake__its_source_is_there__needs_no_wait)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    take_in(trial, trial_request(trial, 0));
    struct task_row a = run_source(trial, me);
    go_on(trial, me, &a, SUCCEEDED, FAILURE_NONE);
    struct intake_row rows[2] = {extending(trial, 1, 0),
                                 extending(trial, 2, 0)};
    rows[1].tenant = STR("another");
    trial_intake(trial, rows, 2);
    assert_string_equal(waits(trial), "1 free task_a 0, 2 blocked 11");
    /* At fault it is an end for who waits for it. */
    take_in(trial, extending(trial, 4, 3));
    struct intake_row faulty = trial_request(trial, 3);
    faulty.event = STR("the event");
    take_in(trial, faulty);
    assert_string_equal(waits(trial),
                        "1 free task_a 0, 2 blocked 11, 4 blocked 11");
}

TEST(expire__waited_for_too_long__or_past_its_own_deadline)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct intake_row rows[3] = {extending(trial, 1, 0), extending(trial, 2, 0),
                                 extending(trial, 3, 0)};
    rows[1].deadline_seconds = 10;
    rows[2].received_ms = TRIAL_NOW + 1;
    trial_intake(trial, rows, 3);
    struct turn_result result = expire(trial, me, TRIAL_NOW + 9999, 10000);
    assert_int_equal(result.expired_len, 0);
    result = expire(trial, me, TRIAL_NOW + 10000, 10000);
    assert_int_equal(result.expired_len, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct task_row *row = &result.expired[i].row;
        assert_int_equal(row->kind, row->deadline_ms ? FAILURE_NONE
                                                     : FAILURE_SOURCE_FAILED);
    }
    assert_string_equal(waits(trial), "3 blocked 0");
}

/** Back to the others, by an owner that thinks otherwise: it waits on. */
TEST(expire__taken_by_mistake__waits_for_its_source_again)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct intake_row row = extending(trial, 1, 0);
    row.deadline_seconds = 10;
    take_in(trial, row);
    struct turn_result result = expire(trial, me, TRIAL_NOW + 10000, 86400000);
    assert_int_equal(result.expired_len, 1);
    struct task_row back = result.expired[0].row;
    assert_int_equal(trial_save(trial, me, &back), SAVE_DONE);
    assert_string_equal(waits(trial), "1 blocked 0");
    assert_int_equal(trial_number(trial, "SELECT not_before_ms FROM waiting"),
                     TRIAL_NOW);
}

/** What two transactions did not see of each other. */
TEST(a_look_at_all__part_by_part__finds_what_was_overlooked)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    take_in(trial, trial_request(trial, 0));
    struct task_row a = run_source(trial, me);
    trial_sql(trial, "INSERT INTO request (request_id, content, tenant, mode, "
                     "priority, warnings, body, source, received_ms) "
                     "SELECT 'c-' || i, '\\x00', 'default', 5, 5, '[]', '{}', "
                     "CASE WHEN i <= 1200 THEN 'r-00000' ELSE "
                     "'s-' || lpad(i::text, 5, '0') END, 1 "
                     "FROM generate_series(1, 2000) i");
    go_on(trial, me, &a, SUCCEEDED, FAILURE_NONE);
    trial_sql(trial,
              "INSERT INTO waiting (id, priority, fence, version, submission, "
              "tries, received_ms, deadline_ms, not_before_ms, first_sent_ms, "
              "last_sent_ms, account, source) SELECT id, 5, 0, 0, 0, 0, 1, 0, "
              "1, 0, 0, '', source FROM request WHERE source IS NOT NULL");
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .chains = true});
    assert_int_equal(result.unblocked.freed, UNBLOCK_MAX);
    assert_int_equal(result.unblocked.looked, SOURCES_MAX);
    assert_string_equal(result.unblocked.last, "s-01699");
    result = trial_good_turn(trial, (struct turn){.owner = me, .chains = true});
    assert_int_equal(result.unblocked.freed, 1200 - UNBLOCK_MAX);
    struct turn turn = {.owner = me, .chains = true};
    snprintf(turn.chains_after, sizeof turn.chains_after, "%s",
             result.unblocked.last);
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.unblocked.freed, 0);
    assert_int_equal(result.unblocked.looked, 301);
    assert_string_equal(result.unblocked.last, "s-02000");
    assert_int_equal(trial_count(trial, false).blocked, 800);
    assert_int_equal(trial_count(trial, false).queued, 1200);
}

/** Of an operator: whatever was found for the last submission. */
TEST(a_retry__looks_for_its_source_anew)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    take_in(trial, extending(trial, 1, 0));
    trial_sql(trial,
              "UPDATE waiting SET source = NULL, source_task_id = 'old'");
    struct task_row b = trial_claim_one(trial, me);
    go_on(trial, me, &b, FAILED, FAILURE_PROVIDER_FAILED);
    go_on(trial, me, &b, CLOSED, FAILURE_PROVIDER_FAILED);
    const char *const params[] = {
        arena_printf(&trial->arena, "%lld", (long long)b.id), "0"};
    PGresult *retry = PQexecParams(trial->conn, pg_sql("query", "ctl_retry"), 2,
                                   NULL, params, NULL, NULL, 0);
    assert_int_equal(PQntuples(retry), 1);
    PQclear(retry);
    assert_string_equal(waits(trial), "1 blocked 0");
    assert_string_equal(trial_sql(trial,
                                  "SELECT not_before_ms > 0 "
                                  "AND source_task_id IS NULL FROM waiting"),
                        "t");
    assert_string_equal(trial_sql(trial, "SELECT source_task_id FROM past"),
                        "old");
}

/** Its id was learnt: it runs, and nothing of what it waited for is left. */
TEST(an_id_that_is_attached__ends_the_wait)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    take_in(trial, extending(trial, 1, 0));
    trial_sql(trial, "UPDATE waiting SET kind = 11");
    struct trial_answer answer = {.trial = trial};
    store_learn(trial->store, trial_number(trial, "SELECT id FROM waiting"), 0,
                STR("task_9"), trial_on_learnt, &answer);
    trial_await(&answer);
    assert_int_equal(answer.learnt, LEARN_WRITTEN);
    assert_string_equal(waits(trial), "");
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .adopts_max = 9});
    assert_int_equal(result.adopted_len, 1);
    assert_int_equal(result.adopted[0].row.kind, FAILURE_NONE);
    assert_int_equal(result.adopted[0].row.state, SUBMITTING);
}

TESTS_RUN(NULL, NULL)
