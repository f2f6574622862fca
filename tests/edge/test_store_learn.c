#include "edge/store_trial.h"

#include "edge/pg/pg.h"

/* Ids that were learnt are written wherever the row is. */

static struct trial_answer learn_as(struct trial *trial, int64_t task,
                                    int32_t submission, const char *id)
{
    struct trial_answer answer = {.trial = trial};
    store_learn(trial->store, task, submission, str_of(id), trial_on_learnt,
                &answer);
    trial_await(&answer);
    return answer;
}

static enum learn_end learnt(struct trial *trial, int64_t task,
                             int32_t submission, const char *id)
{
    struct trial_answer answer = learn_as(trial, task, submission, id);
    assert_string_equal(answer.err.text, "");
    return answer.learnt;
}

static bool learn(struct trial *trial, int64_t task, int32_t submission,
                  const char *id)
{
    struct trial_answer answer = learn_as(trial, task, submission, id);
    assert_string_equal(answer.err.text, "");
    return answer.done;
}

TEST(learn__a_row_without_id__gets_it)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    assert_int_equal(learnt(trial, row.id, 1, "task_1"), LEARN_NOWHERE);
    assert_int_equal(learnt(trial, row.id + 1, 0, "task_1"), LEARN_NOWHERE);
    assert_int_equal(learnt(trial, row.id, 0, "task_1"), LEARN_WRITTEN);
    assert_int_equal(learnt(trial, row.id, 0, "task_1"), LEARN_SAME);
    assert_string_equal(
        trial_sql(trial, "SELECT provider_task_id || ' ' || state || ' ' || "
                         "version || ' ' || owner FROM task"),
        arena_printf(&trial->arena, "task_1 1 1 %lld", (long long)me));
}

TEST(learn__another_id_is_there__names_it_and_keeps_it)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    assert_true(learn(trial, row.id, 0, "task_1"));
    assert_false(learn(trial, row.id, 1, "task_2"));
    for (int closed = 0; closed < 2; closed++) {
        struct trial_answer other = learn_as(trial, row.id, 0, "task_2");
        assert_int_equal(other.learnt, LEARN_OTHER);
        assert_string_equal(other.other, "task_1");
        assert_int_equal(learnt(trial, row.id, 0, "task_1"), LEARN_SAME);
        trial_sql(trial, "WITH d AS (DELETE FROM task RETURNING *) INSERT INTO "
                         "closed SELECT * FROM d");
    }
    assert_string_equal(trial_sql(trial, "SELECT provider_task_id FROM closed"),
                        "task_1");
}

TEST(learn__refused_by_the_database__is_to_be_tried_again)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    trial_sql(trial, "ALTER TABLE task ADD CONSTRAINT no_more CHECK "
                     "(provider_task_id = '') NOT VALID");
    struct trial_answer answer = learn_as(trial, row.id, 0, "task_1");
    assert_int_equal(answer.err.kind, ERR_TRANSIENT);
    trial_sql(trial, "ALTER TABLE task DROP CONSTRAINT no_more");
    assert_true(learn(trial, row.id, 0, "task_1"));
}

TEST(learn__a_row_that_waits__runs_instead)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    const int64_t *ids = trial_requests(trial, 1);
    assert_true(learn(trial, ids[0], 0, "task_1"));
    struct turn_result result = trial_good_turn(
        trial, (struct turn){.owner = me, .claims_max = 5, .adopts_max = 5});
    assert_int_equal(result.claimed_len, 0);
    assert_int_equal(result.adopted_len, 1);
    /* With its id: the step then makes it run, with a deadline. */
    assert_int_equal(result.adopted[0].row.state, SUBMITTING);
    assert_true(result.adopted[0].row.doubt);
    assert_string_equal(result.adopted[0].row.provider_task_id, "task_1");
}

/** "tenant:state:amount" of all that counts. */
static const char *money_is(struct trial *trial)
{
    return trial_sql(trial,
                     "SELECT string_agg(concat_ws(':', tenant, state, amount), "
                     "' ' ORDER BY task) FROM money");
}

TEST(learn__a_row_that_waits__counts_against_its_budget)
{
    struct trial *trial = *state;
    struct intake_row rows[3];
    for (int i = 0; i < 3; i++) {
        rows[i] = trial_request(trial, i);
        rows[i].tenant = STR("acme");
        rows[i].price = 400000;
    }
    assert_int_equal(trial_intake(trial, rows, 3).err.kind, ERR_NONE);
    const int64_t first = trial_number(trial, "SELECT min(id) FROM waiting");
    assert_true(learn(trial, first, 0, "task_1"));
    assert_string_equal(money_is(trial), ""); /* nobody has a budget */
    trial_sql(trial, "INSERT INTO budget VALUES ('acme', 0, 600000, 80, 1)");
    trial_sql(trial,
              "UPDATE waiting SET doubt = true, first_sent_ms = 1728000000001 "
              "WHERE id = %lld",
              (long long)first + 1);
    assert_true(learn(trial, first + 1, 0, "task_2"));
    assert_string_equal(money_is(trial), "acme:2:400000");
    assert_int_equal(trial_number(trial, "SELECT day FROM money"), 20000);
    /* It was sent before, and refused. */
    trial_sql(trial,
              "INSERT INTO money (task, submission, tenant, day, state, "
              "estimate, amount) VALUES (%lld, 0, 'acme', 20000, 0, 300000, 0)",
              (long long)first + 2);
    assert_true(learn(trial, first + 2, 0, "task_3"));
    assert_string_equal(money_is(trial), "acme:2:400000 acme:2:300000");
}

TEST(learn__of_an_earlier_submission__is_kept_with_it)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = CLOSED;
    row.kind = FAILURE_SUBMIT_UNKNOWN;
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    char *task = arena_printf(&trial->arena, "%lld", (long long)row.id);
    const char *const params[] = {task, "0"};
    PQclear(PQexecParams(trial->conn, pg_sql("query", "ctl_retry"), 2, NULL,
                         params, NULL, NULL, 0));
    trial_sql(trial, "UPDATE past SET event = 'told'");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"), 1);
    assert_true(learn(trial, row.id, 0, "task_1"));
    assert_string_equal(
        trial_sql(trial, "SELECT p.provider_task_id || ' ' || w.submission "
                         "FROM past p JOIN waiting w USING (id)"),
        "task_1 1");
    assert_int_equal(learnt(trial, row.id, 0, "task_1"), LEARN_SAME);
    struct trial_answer other = learn_as(trial, row.id, 0, "task_2");
    assert_int_equal(other.learnt, LEARN_OTHER);
    assert_string_equal(other.other, "task_1");
}

TEST(learn__told_as_submit_unknown__opens_again)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 2);
    struct task_row rows[2] = {trial_claim_one(trial, me),
                               trial_claim_one(trial, me)};
    for (int i = 0; i < 2; i++) {
        rows[i].state = FAILED;
        rows[i].kind = i ? FAILURE_CANCELLED : FAILURE_SUBMIT_UNKNOWN;
        rows[i].event = (char *)"the event";
        assert_int_equal(trial_save(trial, me, &rows[i]), SAVE_DONE);
        rows[i].state = CLOSED;
        assert_int_equal(trial_save(trial, me, &rows[i]), SAVE_DONE);
    }
    assert_int_equal(learnt(trial, rows[0].id, 2, "task_1"), LEARN_NOWHERE);
    assert_true(learn(trial, rows[0].id, 0, "task_1"));
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .adopts_max = 5});
    assert_int_equal(result.adopted_len, 1);
    const struct task_row *row = &result.adopted[0].row;
    assert_int_equal(row->id, rows[0].id);
    assert_int_equal(row->state, LATE);
    assert_true(row->late);
    assert_true(row->submitted_ms > 0);
    assert_int_equal(row->kind, FAILURE_SUBMIT_UNKNOWN);
    assert_int_equal(row->fence, rows[0].fence + 2);
    assert_int_equal(row->version, rows[0].version + 2);
    assert_string_equal(row->event, "the event");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM closed"), 1);
    /* How it was told is kept, under the id that came. */
    assert_string_equal(trial_sql(trial, "SELECT concat_ws(' ', id, event, "
                                         "provider_task_id) FROM past"),
                        arena_printf(&trial->arena, "%lld the event task_1",
                                     (long long)rows[0].id));
    assert_int_equal(learnt(trial, rows[0].id, 0, "task_1"), LEARN_SAME);
    assert_int_equal(learnt(trial, rows[0].id, 0, "task_3"), LEARN_OTHER);
    /* It ends a second time, and is ordered again: both ends are kept. */
    struct task_row late = result.adopted[0].row;
    late.state = CLOSED;
    assert_int_equal(trial_save(trial, me, &late), SAVE_DONE);
    const char *const params[] = {
        arena_printf(&trial->arena, "%lld", (long long)late.id), "0"};
    PQclear(PQexecParams(trial->conn, pg_sql("query", "ctl_retry"), 2, NULL,
                         params, NULL, NULL, 0));
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM past"), 2);
    assert_int_equal(trial_number(trial, "SELECT fence FROM waiting"),
                     late.fence + 1);
}

/** An id of what came to another end, told or not, is written where it lies. */
TEST(learn__of_a_final_end__is_written_to_it)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 2);
    for (int told = 0; told < 2; told++) {
        struct task_row row = trial_claim_one(trial, me);
        row.state = FAILED;
        row.kind = FAILURE_CANCELLED;
        row.event = (char *)"the event";
        assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
        row.state = CLOSED;
        if (told) {
            assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
        }
        assert_int_equal(learnt(trial, row.id, 0, "task_1"), LEARN_WRITTEN);
        assert_int_equal(learnt(trial, row.id, 0, "task_1"), LEARN_SAME);
        assert_int_equal(learnt(trial, row.id, 0, "task_2"), LEARN_OTHER);
        assert_string_equal(
            trial_sql(trial,
                      "SELECT provider_task_id FROM closed WHERE id = "
                      "%lld",
                      (long long)row.id),
            "task_1");
        assert_int_equal(trial_number(trial, "SELECT count(*) FROM task WHERE "
                                             "provider_task_id <> ''"),
                         0);
    }
}

/** The provider had no room for it: task_1 is over, and it waits again. */
static struct task_row given_up(struct trial *trial, int64_t me)
{
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = RUNNING;
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "task_1");
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    row.state = QUEUED;
    row.attempt = 1;
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    return row;
}

/** What the provider had no room for stays in past: no answer to that is
 * awaited any more, and the next attempt's id is another's. */
TEST(learn__beside_an_earlier_attempt__is_the_later_ones)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct task_row row = given_up(trial, me);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM past"), 1);
    assert_int_equal(trial_claim_one(trial, me).attempt, 1);
    trial_sql(trial, "UPDATE task SET provider_task_id = 'task_2'");
    assert_int_equal(learnt(trial, row.id, 0, "task_2"), LEARN_SAME);
    trial_sql(trial, "DELETE FROM task");
    assert_int_equal(learnt(trial, row.id, 0, "task_2"), LEARN_NOWHERE);
}

/** A worker that was cut off brings the id of what the others gave up. */
TEST(learn__of_an_earlier_attempt__leaves_the_later_one_alone)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct task_row row = given_up(trial, me);
    /* It waits; it is on its way; it has its id; it has ended, without one and
     * otherwise. */
    assert_int_equal(learnt(trial, row.id, 0, "task_1"), LEARN_SAME);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 0);
    row = trial_claim_one(trial, me);
    assert_int_equal(row.attempt, 1);
    assert_int_equal(learnt(trial, row.id, 0, "task_1"), LEARN_SAME);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task WHERE "
                                         "provider_task_id <> ''"),
                     0);
    trial_sql(trial, "UPDATE task SET provider_task_id = 'task_2'");
    assert_int_equal(learnt(trial, row.id, 0, "task_1"), LEARN_SAME);
    assert_int_equal(learnt(trial, row.id, 0, "task_3"), LEARN_OTHER);
    static const int kinds[] = {FAILURE_SUBMIT_UNKNOWN, FAILURE_TIMED_OUT};
    trial_sql(trial, "UPDATE task SET state = 5, event = 'e'");
    trial_sql(trial, "WITH d AS (DELETE FROM task RETURNING *) INSERT INTO "
                     "closed SELECT * FROM d");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        trial_sql(trial, "UPDATE closed SET provider_task_id = '', kind = %d",
                  kinds[i]);
        assert_int_equal(learnt(trial, row.id, 0, "task_1"), LEARN_SAME);
        assert_string_equal(
            trial_sql(trial, "SELECT provider_task_id FROM closed"), "");
    }
}

TEST(learn__while_the_row_is_closed__is_not_lost)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    trial_sql(trial, "UPDATE task SET state = 5, kind = 7, event = 'e'");
    trial_sql(trial, "BEGIN");
    trial_sql(trial,
              "WITH d AS (DELETE FROM task RETURNING *) INSERT INTO closed "
              "SELECT * FROM d");
    struct trial_answer answer = {.trial = trial};
    store_learn(trial->store, row.id, 0, STR("task_1"), trial_on_learnt,
                &answer);
    /* Turn until PostgreSQL says that it waits for us. */
    struct trial_answer other = {.trial = trial};
    const struct beat ask = {.owner = me};
    do {
        store_beat(trial->store, &ask, trial_on_beat, &other);
        trial_await(&other);
    } while (trial_waiter(trial) == 0);
    trial_sql(trial, "COMMIT");
    trial_await(&answer);
    assert_true(answer.done);
    assert_int_equal(trial_number(trial, "SELECT state FROM task"), LATE);
}

TESTS_RUN(NULL, NULL)
