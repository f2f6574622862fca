#include "core/history.h"
#include "edge/archive.h"
#include "edge/store_trial.h"

#include <time.h>

/* What ended is counted, pruned and forgotten, on a real PostgreSQL. Day n of a
 * trial is the n-th of 1970, so that a clock is a number. */

#define DAY HISTORY_DAY_MS
#define NOW (100 * DAY + 5)

struct pass {
    struct trial *trial;
    struct archive *archive;
    bool done;
    struct err err;
    struct archive_look look;
    struct archive_batch batch;
};

static void on_done(void *context, bool done, const struct err *err)
{
    struct pass *pass = context;
    pass->done = done;
    pass->err = err ? *err : (struct err){0};
    loop_stop(pass->trial->loop);
}

static void on_look(void *context, const struct archive_look *look,
                    const struct err *err)
{
    struct pass *pass = context;
    pass->look = *look;
    on_done(context, true, err);
}

static void on_batch(void *context, const struct archive_batch *batch,
                     const struct err *err)
{
    struct pass *pass = context;
    pass->batch = *batch;
    on_done(context, true, err);
}

static bool ran(struct pass *pass)
{
    trial_wait(pass->trial);
    if (pass->err.kind != ERR_NONE) {
        print_message("%s\n", pass->err.text);
    }
    return pass->done && pass->err.kind == ERR_NONE;
}

static struct archive *open_ones[2]; /* of the test */
static size_t open_len;

static int teardown(void **state)
{
    while (open_len) {
        archive_close(open_ones[--open_len]);
    }
    return trial_teardown(state);
}

#undef TEST
#define TEST(name) TEST_CASE_WITH(name, trial_setup, teardown)

static struct pass pass_open(struct trial *trial)
{
    struct err err = {0};
    const struct store_options options = {
        .url = trial->url, .name = "archive", .lease_ms = TRIAL_LEASE_MS};
    struct pass pass = {
        .trial = trial,
        .archive = archive_open(trial->loop, &options, &err),
    };
    assert_non_null(pass.archive);
    open_ones[open_len++] = pass.archive;
    return pass;
}

static bool begin(struct pass *pass)
{
    archive_begin(pass->archive, on_done, pass);
    return ran(pass);
}

static bool count(struct pass *pass, int64_t day)
{
    archive_count(pass->archive, day, NOW, on_done, pass);
    return ran(pass);
}

static int64_t prune(struct pass *pass, int64_t before_ms)
{
    archive_prune(pass->archive, before_ms, 0, NOW, on_batch, pass);
    assert_true(ran(pass));
    return pass->batch.gone;
}

/** Ended on a day, with a cost; its tenant is t, it took 100 s. */
static int64_t ended(struct trial *trial, int number, int64_t day, int kind,
                     double cost)
{
    struct intake_row row = trial_request(trial, number);
    row.tenant = STR("t");
    trial_intake(trial, &row, 1);
    const int64_t id = trial_id(trial, row.request_id);
    trial_sql(
        trial,
        "WITH w AS (DELETE FROM waiting WHERE id = %lld RETURNING *) "
        "INSERT INTO closed (id, state, owner, fence, version, "
        "submission, sends, doubt, late, billed_open, account, "
        "provider_task_id, received_ms, deadline_ms, first_sent_ms, "
        "last_sent_ms, submitted_ms, generated_ms, stored_ms, settled_ms, "
        "not_before_ms, tries, takeovers, takeovers_since_ms, kind, "
        "has_cost, cost, credits_cost, event, closed_ms) SELECT id, 7, 0, 1, 1, "
        "0, 1, false, false, false, 'a', '', 1000, 0, 0, 0, 0, 0, 0, "
        "101000, 0, 0, 0, 0, %d, %s, %f, %f, 'e', %lld FROM w",
        (long long)id, kind, cost > 0 ? "true" : "false", cost, 10 * cost,
        (long long)(day * DAY + number));
    return id;
}

static const char *stat_of(struct trial *trial)
{
    return trial_sql(
        trial, "SELECT coalesce(string_agg(concat_ws(':', day - '1970-01-01', "
               "tenant, account, mode, kind, CASE WHEN pruned THEN 'gone' END, "
               "count, cost, credits), ' ' ORDER BY day, kind, pruned), '') "
               "FROM stat");
}

TEST(archive__one_pass_at_a_time__and_the_next_after_it)
{
    struct trial *trial = *state;
    struct pass one = pass_open(trial);
    struct pass other = pass_open(trial);
    assert_true(begin(&one));
    assert_false(begin(&other));
    assert_int_equal(other.err.kind, ERR_NONE);
    archive_end(other.archive);
    archive_end(one.archive);
    for (int i = 0; i < 3000 && !begin(&other); i++) {
        archive_end(other.archive); /* its backend may live on for a moment */
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    assert_true(other.done);
}

TEST(archive__days_that_are_over__are_counted_once)
{
    struct trial *trial = *state;
    struct pass pass = pass_open(trial);
    ended(trial, 1, 97, 0, 0.2);
    ended(trial, 2, 97, 0, 0.1);
    ended(trial, 3, 97, 6, 0);
    ended(trial, 4, 99, 0, 0.4);
    ended(trial, 5, 100, 0, 0.4);
    assert_true(begin(&pass));
    archive_look(pass.archive, 0, 100 * DAY, on_look, &pass);
    assert_true(ran(&pass));
    assert_int_equal(pass.look.days_len, 2);
    assert_int_equal(pass.look.days[0], 97);
    assert_int_equal(pass.look.days[1], 99);
    assert_int_equal(pass.look.oldest_ms, 97 * DAY + 1);
    assert_true(count(&pass, 97));
    assert_true(count(&pass, 97)); /* again: nothing is counted twice */
    assert_string_equal(stat_of(trial), "97:t:a:1:0:2:0.3:3 "
                                        "97:t:a:1:6:1:0:0");
    assert_string_equal(trial_sql(trial, "SELECT latency FROM stat WHERE kind "
                                         "= 0"),
                        "{0,0,2,0,0,0,0,0,0,0}");
    archive_look(pass.archive, 98 * DAY, 100 * DAY, on_look, &pass);
    assert_true(ran(&pass));
    assert_int_equal(pass.look.days_len, 1);
    archive_look(pass.archive, 0, 99 * DAY, on_look, &pass);
    assert_true(ran(&pass));
    assert_int_equal(pass.look.days_len, 0);
}

static void on_learnt(void *context, enum learn_end end, const char *other,
                      const struct err *err)
{
    (void)other;
    assert_null(err);
    *(enum learn_end *)context = end;
}

TEST(archive__an_id_that_comes_late__has_its_day_counted_again)
{
    struct trial *trial = *state;
    struct pass pass = pass_open(trial);
    int64_t id = ended(trial, 1, 97, FAILURE_SUBMIT_UNKNOWN, 0);
    ended(trial, 2, 97, 0, 0.1);
    assert_true(begin(&pass));
    assert_true(count(&pass, 97));
    enum learn_end end = LEARN_NOWHERE;
    store_learn(trial->store, id, 0, STR("task_1"), on_learnt, &end);
    archive_look(pass.archive, 0, 100 * DAY, on_look, &pass);
    assert_true(ran(&pass));
    while (end == LEARN_NOWHERE) {
        archive_look(pass.archive, 0, 100 * DAY, on_look, &pass);
        assert_true(ran(&pass));
    }
    archive_look(pass.archive, 0, 100 * DAY, on_look, &pass);
    assert_true(ran(&pass));
    assert_int_equal(pass.look.days_len, 1);
    assert_true(count(&pass, 97));
    assert_string_equal(stat_of(trial), "97:t:a:1:0:1:0.1:1");
}

TEST(archive__a_day_that_changes_while_it_is_counted__is_counted_again)
{
    struct trial *trial = *state;
    struct pass pass = pass_open(trial);
    ended(trial, 1, 97, 0, 0.1);
    assert_true(begin(&pass));
    trial_sql(trial,
              "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql "
              "AS 'BEGIN UPDATE stat_day SET counted_ms = 0; RETURN NULL; "
              "END'");
    trial_sql(trial, "CREATE TRIGGER change AFTER INSERT ON stat EXECUTE "
                     "FUNCTION change()");
    assert_false(count(&pass, 97));
    assert_int_equal(pass.err.kind, ERR_NONE);
    trial_sql(trial, "DROP TRIGGER change ON stat");
    archive_look(pass.archive, 0, 100 * DAY, on_look, &pass);
    assert_true(ran(&pass));
    assert_int_equal(pass.look.days_len, 1);
}

TEST(archive__pruning__leaves_id_and_content_and_what_is_counted)
{
    struct trial *trial = *state;
    struct pass pass = pass_open(trial);
    ended(trial, 1, 97, 0, 0.2);
    ended(trial, 2, 97, 0, 0.1);
    ended(trial, 3, 98, 0, 0.4);
    assert_true(begin(&pass));
    assert_true(count(&pass, 97));
    assert_int_equal(prune(&pass, 98 * DAY), 2);
    assert_false(pass.batch.more);
    assert_int_equal(prune(&pass, 98 * DAY), 0);
    assert_string_equal(stat_of(trial), "97:t:a:1:0:gone:2:0.3:3");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM closed"), 1);
    assert_string_equal(
        trial_sql(trial,
                  "SELECT concat_ws(':', request_id, content IS NOT NULL, "
                  "tenant, mode, priority, metadata, warnings, "
                  "traceparent, body, pruned_ms) FROM request WHERE id = "
                  "(SELECT min(id) FROM request)"),
        "r-00001:t:0:0:[]:8640000005");
    assert_string_equal(trial_sql(trial, "SELECT tenant || body FROM request "
                                         "WHERE pruned_ms IS NULL"),
                        "t{\"prompt\":\"a \\\"quoted\\\" word, {braces}\"}");
    struct intake_row row = trial_request(trial, 1);
    assert_int_equal(trial_intake(trial, &row, 1).verdicts[0], INTAKE_REPEAT);
    row.content[0] ^= 1;
    assert_int_equal(trial_intake(trial, &row, 1).verdicts[0], INTAKE_REUSED);
}

TEST(archive__what_is_held_untold_or_waits__is_not_pruned)
{
    struct trial *trial = *state;
    struct pass pass = pass_open(trial);
    int64_t untold = ended(trial, 1, 97, 0, 0.2);
    int64_t again = ended(trial, 2, 97, 0, 0.1);
    int64_t locked = ended(trial, 3, 97, 0, 0.1);
    ended(trial, 4, 97, 0, 0.1);
    trial_sql(
        trial,
        "INSERT INTO task (" TRIAL_TASK_COLUMNS
        ") SELECT c.* FROM (SELECT id, 4, 0, 1, 1, 0, 1, "
        "false, false, false, '', '', 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, "
        "0, false, 0::float8, 0::float8 FROM closed WHERE id = %lld) c",
        (long long)untold);
    trial_sql(trial,
              "INSERT INTO waiting VALUES (%lld, 5, 0, 0, 0, 0, 1, 0, 0, 0, 0, "
              "'')",
              (long long)again);
    PQclear(PQexec(trial->conn, "BEGIN"));
    trial_sql(trial, "SELECT id FROM request WHERE id = %lld FOR NO KEY UPDATE",
              (long long)locked);
    assert_true(begin(&pass));
    assert_int_equal(prune(&pass, 99 * DAY), 1);
    PQclear(PQexec(trial->conn, "COMMIT"));
    assert_int_equal(prune(&pass, 99 * DAY), 1);
    assert_int_equal(
        trial_number(trial, "SELECT count(*) FROM request WHERE body IS NULL"),
        2);
    assert_string_equal(
        trial_sql(trial,
                  "SELECT count(*) FROM request WHERE pruned_ms IS NOT "
                  "NULL AND id <= %lld",
                  (long long)again),
        "0");
}

TEST(archive__ended_twice_and_opened_again__each_submission_counts_once)
{
    struct trial *trial = *state;
    struct pass pass = pass_open(trial);
    ended(trial, 1, 98, 0, 0.2);
    /* It was told as submit_unknown, opened again and completed; then an
     * operator had it sent once more: two were bought. */
    trial_sql(trial, "INSERT INTO past SELECT * FROM closed");
    trial_sql(trial, "UPDATE past SET kind = 7");
    trial_sql(trial, "UPDATE closed SET fence = 2");
    trial_sql(trial, "INSERT INTO past SELECT * FROM closed");
    trial_sql(trial, "UPDATE past SET closed_ms = %lld, cost = 0.5",
              (long long)(97 * DAY));
    trial_sql(trial, "UPDATE closed SET submission = 1, fence = 9");
    /* The second was told as submit_unknown before its id came. */
    trial_sql(trial, "INSERT INTO past SELECT * FROM closed");
    trial_sql(trial,
              "UPDATE past SET kind = 7, fence = 8 WHERE submission = 1");
    /* The provider had no room for its first attempt: that was no end. */
    trial_sql(trial, "INSERT INTO past SELECT * FROM closed");
    trial_sql(trial, "UPDATE past SET kind = 4, fence = 5, event = NULL "
                     "WHERE fence = 9");
    assert_true(begin(&pass));
    assert_true(count(&pass, 97));
    assert_true(count(&pass, 98));
    assert_string_equal(stat_of(trial), "97:t:a:1:0:1:0.5:2 "
                                        "98:t:a:1:0:1:0.2:2");
    assert_int_equal(prune(&pass, 99 * DAY), 1);
    assert_string_equal(stat_of(trial), "97:t:a:1:0:gone:1:0.5:2 "
                                        "98:t:a:1:0:gone:1:0.2:2");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM past"), 0);
}

static bool mark(struct pass *pass, int64_t from_ms, int64_t now_ms)
{
    archive_mark(pass->archive, from_ms, now_ms, history_settled_ms(now_ms),
                 on_done, pass);
    (void)ran(pass);
    assert_int_equal(pass->err.kind, ERR_NONE);
    return pass->done;
}

static int64_t forget(struct pass *pass, int64_t now_ms)
{
    archive_forget(pass->archive, history_settled_ms(now_ms), on_batch, pass);
    assert_true(ran(pass));
    return pass->batch.gone;
}

TEST(archive__ids__are_forgotten_after_that_was_written_down)
{
    struct trial *trial = *state;
    struct pass pass = pass_open(trial);
    for (int i = 1; i <= 3; i++) {
        ended(trial, i, 97, 0, 0.2);
    }
    int64_t kept = ended(trial, 4, 99, 0, 0.2); /* not pruned */
    trial_sql(trial, "UPDATE request SET seen_ms = %lld + id - %lld",
              (long long)(98 * DAY), (long long)kept - 4);
    assert_true(begin(&pass));
    assert_int_equal(prune(&pass, 98 * DAY), 3);
    assert_true(mark(&pass, 98 * DAY + 3, NOW));
    assert_false(mark(&pass, 98 * DAY + 4, NOW)); /* too soon */
    assert_int_equal(forget(&pass, NOW), 0);      /* a batch may still insert */
    assert_int_equal(forget(&pass, NOW + 59999), 0);
    assert_int_equal(forget(&pass, NOW + 60000), 2);
    assert_false(mark(&pass, 98 * DAY + 3, NOW + 120000)); /* never back */
    assert_true(mark(&pass, 98 * DAY + 9, NOW + 120000));
    assert_int_equal(forget(&pass, NOW + 240000), 1);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM request"), 1);
}

TEST(archive__which_messages_were_replayed__is_pruned_too)
{
    struct trial *trial = *state;
    struct pass pass = pass_open(trial);
    trial_sql(trial,
              "INSERT INTO replayed VALUES ('t', 0, 1, 1, %lld), "
              "('t', 0, 2, 1, %lld)",
              (long long)(98 * DAY - 1), (long long)(98 * DAY));
    assert_true(begin(&pass));
    assert_int_equal(prune(&pass, 98 * DAY), 0); /* nothing has ended */
    assert_int_equal(
        trial_number(trial, "SELECT sum(message_offset) FROM replayed"), 2);
}

TEST(archive__the_bounds_of_the_view__are_those_of_core)
{
    struct trial *trial = *state;
    static const int64_t bounds[] = HISTORY_BOUNDS_MS;
    const size_t len = sizeof bounds / sizeof *bounds;
    assert_int_equal(len + 1, HISTORY_BUCKETS);
    ended(trial, 1, 97, 0, 0.2);
    for (size_t i = 0; i < len; i++) {
        for (int more = -1; more <= 0; more++) {
            trial_sql(trial,
                      "UPDATE closed SET settled_ms = received_ms + %lld",
                      (long long)bounds[i] + more);
            assert_int_equal(trial_number(trial, "SELECT latency FROM ended"),
                             (int64_t)i + 1 + more);
        }
    }
}

TESTS_RUN(NULL, NULL)
