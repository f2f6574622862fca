#include "core/step.h"
#include "edge/store_trial.h"
#include "edge/pg/pg.h"
#include "lib/rows.h"

/* Rows that become ours without a claim, and those that nobody can read. */

TEST(expire__past_the_deadline__is_ours_and_queued)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct intake_row rows[2] = {trial_request(trial, 0),
                                 trial_request(trial, 1)};
    rows[0].deadline_seconds = 10;
    trial_intake(trial, rows, 2);
    trial_sql(trial, "INSERT INTO hold VALUES ('operator', '*', 1, 1, '')");
    struct turn turn = {
        .owner = me, .expires_max = 9, .now_ms = TRIAL_NOW + 9999};
    assert_int_equal(trial_good_turn(trial, turn).expired_len, 0);
    turn.now_ms++;
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.expired_len, 1);
    const struct task_row *row = &result.expired[0].row;
    assert_int_equal(row->state, QUEUED);
    assert_int_equal(row->owner, me);
    assert_int_equal(row->fence, 1);
    assert_int_equal(row->version, 1);
    assert_int_equal(row->deadline_ms, TRIAL_NOW + 10000);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"), 1);
    /* Back to the others, by an owner that thinks otherwise. */
    struct task_row back = *row;
    assert_int_equal(trial_save(trial, me, &back), SAVE_DONE);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"), 2);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 0);
}

TEST(adopt__a_dead_lease__its_rows_are_ours_in_doubt)
{
    struct trial *trial = *state;
    int64_t dead = trial_join(trial);
    int64_t me = trial_join(trial);
    trial_requests(trial, 3);
    struct task_row rows[2] = {trial_claim_one(trial, dead),
                               trial_claim_one(trial, dead)};
    rows[1].state = RUNNING;
    snprintf(rows[1].unusable, sizeof rows[1].unusable,
             "2 %lld 0123456789abcdef", (long long)INT64_MAX);
    assert_int_equal(trial_save(trial, dead, &rows[1]), SAVE_DONE);
    struct turn turn = {.owner = me, .adopts_max = 10, .adopt_begins = true};
    assert_int_equal(trial_good_turn(trial, turn).adopted_len, 0);
    assert_true(trial_bury(trial, dead));
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.adopted_len, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct task_row *row = &result.adopted[i].row;
        bool running = row->id == rows[1].id;
        assert_int_equal(row->state, running ? RUNNING : SUBMITTING);
        assert_string_equal(row->unusable, running ? rows[1].unusable : "");
        assert_int_equal(row->doubt, !running);
        assert_int_equal(row->owner, me);
        assert_int_equal(row->fence, 2);
        assert_int_equal(row->version, running ? 3 : 2);
        assert_int_equal(row->takeovers, 1);
        assert_int_equal(row->takeovers_since_ms, TRIAL_NOW + 1000);
    }
    /* The dead one's next write is fenced, and its lease is forgotten. */
    rows[0].state = RUNNING;
    assert_int_equal(trial_save(trial, dead, &rows[0]), SAVE_FENCED);
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.adopted_len, 0);
    assert_int_equal(result.adopts_seen, 0);
    assert_int_equal(result.dead_len, 1);
    trial_good_turn(trial, (struct turn){.owner = me,
                                         .forget = result.dead,
                                         .forget_len = result.dead_len});
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM lease"), 1);
}

TEST(adopt__again_within_the_hour__counts)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    struct turn turn = {.owner = me, .adopts_max = 1};
    for (int i = 1; i <= 3; i++) {
        trial_sql(trial, "UPDATE task SET owner = -7");
        turn.now_ms = TRIAL_NOW + i * 1000000;
        struct turn_result result = trial_good_turn(trial, turn);
        assert_int_equal(result.adopted_len, 1);
        assert_int_equal(result.adopted[0].row.takeovers, i);
        assert_int_equal(result.adopted[0].row.takeovers_since_ms,
                         TRIAL_NOW + 1000000);
    }
    trial_sql(trial, "UPDATE task SET owner = -7");
    turn.now_ms = TRIAL_NOW + 1000000 + 3600001;
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.adopted[0].row.takeovers, 1);
    assert_int_equal(result.adopted[0].row.fence, row.fence + 4);
}

TEST(adopt__rows_of_nobody__are_found_but_not_waiting_ones)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct intake_row rows[2] = {trial_request(trial, 0),
                                 trial_request(trial, 1)};
    rows[0].body = (struct str){0};
    rows[0].tenant = (struct str){0};
    rows[0].mode = MODE_NONE;
    rows[0].event = STR("the event");
    trial_intake(trial, rows, 2);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .adopts_max = 10});
    assert_int_equal(result.adopted_len, 1);
    const struct task_read *read = &result.adopted[0];
    assert_int_equal(read->row.state, FAILED);
    assert_int_equal(read->row.kind, FAILURE_INVALID_REQUEST);
    assert_int_equal(read->row.settled_ms, TRIAL_NOW);
    assert_string_equal(read->row.event, "the event");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM closed"), 1);
    assert_null(read->tenant.at);
    assert_false(read->row.doubt);
}

TEST(mine__after_an_absence__is_everything_owned)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    trial_requests(trial, 5);
    trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 3});
    trial_good_turn(trial, (struct turn){.owner = other, .claims_max = 1});
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .mine = true});
    assert_int_equal(result.mine_len, 3);
}

TEST(read__a_row_beyond_this_program__is_unreadable)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 4);
    trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 4});
    trial_sql(
        trial,
        "UPDATE task SET state = CASE WHEN id %% 4 = 0 THEN 77 ELSE state "
        "END, kind = CASE WHEN id %% 4 = 1 THEN -3 ELSE kind END, "
        "provider_task_id = CASE WHEN id %% 4 = 2 THEN repeat('x', 129) "
        "ELSE '' END");
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .mine = true});
    assert_int_equal(result.mine_len, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(result.mine[i].unreadable,
                         result.mine[i].row.id % 4 != 3);
    }
}

struct told {
    struct trial *trial;
    int64_t count;
    int64_t last;
    size_t len;
    int64_t first;
    char request_id[140];
};

static void on_unreadable(void *context, const struct unreadable_part *part,
                          const struct err *err)
{
    struct told *told = context;
    assert_string_equal(err ? err->text : "", "");
    told->count = part->count;
    told->last = part->last;
    told->len = part->len;
    loop_stop(told->trial->loop);
    if (part->len) {
        told->first = part->rows[0].task;
        snprintf(told->request_id, sizeof told->request_id, "%.*s",
                 (int)part->rows[0].request_id.len,
                 part->rows[0].request_id.at);
    }
}

static struct told unreadable_part(struct trial *trial, bool waiting,
                                   int64_t owner, int64_t after, int part_max)
{
    struct told told = {.trial = trial};
    const struct unreadable_ask ask = {
        .waiting = waiting,
        .owner = owner,
        .after = after,
        .part_max = part_max,
        .rows_max = 5,
    };
    store_unreadable(trial->store, &ask, on_unreadable, &told);
    trial_wait(trial);
    return told;
}

static struct told unreadable(struct trial *trial, int64_t owner)
{
    return unreadable_part(trial, false, owner, 0, 100);
}

/** What a claim or an expiry can't read leaves the queue as it is, and a
 * program that can takes it over. */
TEST(unreadable_rows__in_the_queue__are_left_aside_whole)
{
    static const char *const breaks[] = {
        "UPDATE waiting SET account = repeat('x', 67) WHERE id IN (1, 2, 7)",
        "ALTER TABLE task ALTER COLUMN tries DROP NOT NULL",
        "ALTER TABLE waiting ALTER COLUMN tries DROP NOT NULL",
        "UPDATE waiting SET tries = NULL WHERE id = 3",
        "DELETE FROM request WHERE id = 4",
        "UPDATE request SET body = NULL WHERE id = 5",
        "UPDATE waiting SET fence = 7, version = 8, deadline_ms = 9 "
        "WHERE id = 1",
        "INSERT INTO cancel VALUES (2)",
    };
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 7);
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        trial_sql(trial, "%s", breaks[i]);
    }
    /* Named as they wait, part by part. */
    static const int64_t counts[] = {3, 2, 1};
    struct told told = {0};
    for (int i = 0; i < 3; i++) {
        told = unreadable_part(trial, true, me, told.last, 3);
        assert_int_equal(told.count, counts[i]);
        assert_int_equal(told.first, 3 * i + 1);
        assert_int_equal(told.last, i < 2 ? 3 * (i + 1) : 0);
    }
    assert_true(told.request_id[0]);
    assert_int_equal(unreadable(trial, me).count, 0);
    struct turn all = {
        .owner = me, .claims_max = 8, .expires_max = 8, .adopts_max = 8};
    struct turn_result result = trial_good_turn(trial, all);
    assert_int_equal(result.claimed_len, 1);
    assert_int_equal(result.claimed[0].row.id, 6);
    assert_int_equal(unreadable_part(trial, true, me, 0, 100).count, 0);
    assert_int_equal(result.expired_len, 0);
    assert_int_equal(result.adopted_len, 0);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"), 0);
    assert_string_equal(
        trial_sql(trial, "SELECT concat_ws(' ', state, owner, fence, version, "
                         "length(account)) FROM task WHERE id = 1"),
        "0 0 7 8 67");
    assert_int_equal(unreadable(trial, me).count, 6);
    trial_sql(trial, "UPDATE task SET account = '' WHERE owner = 0");
    result = trial_good_turn(trial, all);
    assert_int_equal(result.adopted_len, 3);
    assert_int_equal(result.adopted[0].row.fence, 8);
    /* Back in the queue, with all that it had. */
    struct task_row row = result.adopted[0].row;
    assert_int_equal(row.id, 1);
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    assert_string_equal(trial_sql(trial, "SELECT concat_ws(' ', id, fence, "
                                         "deadline_ms) FROM waiting"),
                        "1 8 9");
}

TEST(unreadable_rows__owned_or_orphaned__are_passed_by)
{
    static const char *const breaks[] = {
        "UPDATE task SET state = 77 WHERE id = 1",
        "UPDATE task SET kind = 12 WHERE id = 2",
        "UPDATE task SET provider_task_id = repeat('x', 129) WHERE id = 3",
        "ALTER TABLE task ALTER COLUMN sends DROP NOT NULL",
        "UPDATE task SET sends = NULL WHERE id = 4",
        "DELETE FROM request WHERE id = 5",
        "UPDATE request SET body = NULL WHERE id = 6",
    };
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 8);
    trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 8});
    assert_int_equal(unreadable(trial, me).count, 0);
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        trial_sql(trial, "%s", breaks[i]);
    }
    struct told told = unreadable(trial, me);
    assert_int_equal(told.count, 6);
    assert_int_equal(told.len, 5);
    assert_int_equal(told.first, 1);
    assert_true(told.request_id[0]);
    assert_int_equal(told.last, 0);
    /* The same, part by part. */
    static const int64_t counts[] = {3, 3, 0};
    told.last = 0;
    for (int i = 0; i < 3; i++) {
        told = unreadable_part(trial, false, me, told.last, 3);
        assert_int_equal(told.count, counts[i]);
        assert_int_equal(told.last, i < 2 ? 3 * (i + 1) : 0);
        assert_int_equal(told.first, counts[i] ? 3 * i + 1 : 0);
    }
    /* The same rows, orphaned: a state of 1 needs its body still. */
    trial_sql(trial, "UPDATE task SET owner = 0");
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .adopts_max = 8});
    assert_int_equal(result.adopted_len, 2);
    assert_int_equal(unreadable(trial, me).count, 6);
}

TESTS_RUN(NULL, NULL)
