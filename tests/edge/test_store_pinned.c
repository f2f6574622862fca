#include "edge/store_trial.h"

#include "edge/pg/pg.h"
#include "edge/pg/sql_text.h"

/*
 * Rows of one account only: what extends a task that it has. They wait in a
 * queue of that account.
 */

#define ELSEWHERE "elsewhere:0123456789abcdef:fedcba9876543210"

/** r-<number>; account NULL: anybody's. */
static void take_in(struct trial *trial, int number, const char *account,
                    const char *tenant, int priority)
{
    struct intake_row row = trial_request(trial, number);
    row.account = account ? str_of(account) : (struct str){0};
    row.mode = account ? MODE_EXTEND : MODE_TEXT;
    row.tenant = str_of(tenant);
    row.priority = priority;
    struct intake_result result = trial_intake(trial, &row, 1);
    assert_int_equal(result.err.kind, ERR_NONE);
    assert_int_equal(result.verdicts[0], INTAKE_NEW);
}

/** What is claimed, by the last figure of its request id. */
static const char *names(struct trial *trial, const struct turn_result *result)
{
    char *out = arena_alloc(&trial->arena, result->claimed_len + 1);
    for (size_t i = 0; i < result->claimed_len; i++) {
        const struct str id = result->claimed[i].request_id;
        out[i] = id.at[id.len - 1];
    }
    out[result->claimed_len] = '\0';
    return out;
}

static const char *claim(struct trial *trial, int64_t me, const char *account,
                         int most)
{
    const struct turn_result result = trial_good_turn(
        trial,
        (struct turn){.owner = me, .claims_max = most, .account = account});
    return names(trial, &result);
}

static const char *pinned(struct trial *trial)
{
    return trial_sql(
        trial, "SELECT coalesce(string_agg(right(request_id, 1) || ' ' || "
               "coalesce(pinned, '-'), ', ' ORDER BY w.id), '') "
               "FROM waiting w JOIN request r USING (id)");
}

/** It ends, and an operator has it tried once more. */
static void end_and_retry(struct trial *trial, int64_t me, struct task_row *row)
{
    row->state = FAILED;
    row->kind = FAILURE_PROVIDER_FAILED;
    row->event = (char *)"the event";
    assert_int_equal(trial_save(trial, me, row), SAVE_DONE);
    row->state = CLOSED;
    assert_int_equal(trial_save(trial, me, row), SAVE_DONE);
    const char *const params[] = {
        arena_printf(&trial->arena, "%lld", (long long)row->id), "0"};
    PQclear(PQexecParams(trial->conn, pg_sql("query", "ctl_retry"), 2, NULL,
                         params, NULL, NULL, 0));
}

/** Whatever comes to them: refused, they are that account's still. */
TEST(pinned__is_claimed_by_its_account_alone__in_the_order_of_claims)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    take_in(trial, 0, "elsewhere", "a", 5);
    take_in(trial, 1, NULL, "a", 5);
    take_in(trial, 2, "trial", "a", 5);
    take_in(trial, 3, NULL, "a", 5);
    take_in(trial, 4, "trial", "a", 9);
    take_in(trial, 5, "elsewhere", "a", 9);
    take_in(trial, 6, NULL, "a", 7);
    assert_string_equal(claim(trial, me, NULL, 4), "4612");
    assert_string_equal(claim(trial, me, NULL, 4), "3");
    assert_string_equal(claim(trial, me, NULL, 4), "");
    assert_string_equal(claim(trial, me, ELSEWHERE, 1), "5");
    struct turn_result result = trial_good_turn(
        trial,
        (struct turn){.owner = me, .claims_max = 1, .account = ELSEWHERE});
    assert_string_equal(names(trial, &result), "0");
    struct task_row row = result.claimed[0].row;
    row.state = QUEUED;
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    assert_string_equal(pinned(trial), "0 elsewhere");
    assert_string_equal(claim(trial, me, NULL, 4), "");
    result = trial_good_turn(
        trial,
        (struct turn){.owner = me, .claims_max = 4, .account = ELSEWHERE});
    assert_string_equal(names(trial, &result), "0");
    row = result.claimed[0].row;
    end_and_retry(trial, me, &row);
    assert_string_equal(pinned(trial), "0 elsewhere");
}

/** Only its own of the slots of an account are counted for it. */
TEST(pinned__under_slots__waits_for_one_of_its_account)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    for (int i = 0; i < 5; i++) {
        take_in(trial, i, "trial", "a", 5);
    }
    struct turn turn = {.owner = me, .claims_max = 5, .account_slots = 2};
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 2);
    assert_true(result.slots_full);
    turn.account = ELSEWHERE; /* nothing waits for it: it isn't full */
    turn.account_slots = 1;
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 0);
    assert_false(result.slots_full);
}

/** Of a chain: the account that has its source, wherever the row goes. */
TEST(pinned__by_its_source__and_anew_for_an_operator)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    take_in(trial, 0, NULL, "a", 5);
    struct turn_result result = trial_good_turn(
        trial,
        (struct turn){.owner = me, .claims_max = 1, .account = ELSEWHERE});
    struct task_row a = result.claimed[0].row;
    a.state = READY;
    snprintf(a.provider_task_id, sizeof a.provider_task_id, "task_a");
    struct intake_row row = trial_request(trial, 1);
    row.mode = MODE_EXTEND;
    row.tenant = STR("a");
    row.source = STR("r-00000");
    assert_int_equal(trial_intake(trial, &row, 1).err.kind, ERR_NONE);
    assert_string_equal(pinned(trial), "1 -");
    assert_int_equal(trial_save(trial, me, &a), SAVE_DONE);
    assert_string_equal(pinned(trial), "1 elsewhere");
    assert_string_equal(claim(trial, me, NULL, 4), "");
    result = trial_good_turn(
        trial,
        (struct turn){.owner = me, .claims_max = 4, .account = ELSEWHERE});
    assert_string_equal(names(trial, &result), "1");
    struct task_row b = result.claimed[0].row;
    b.state = QUEUED;
    assert_int_equal(trial_save(trial, me, &b), SAVE_DONE);
    assert_string_equal(pinned(trial), "1 elsewhere");
    result = trial_good_turn(
        trial,
        (struct turn){.owner = me, .claims_max = 4, .account = ELSEWHERE});
    b = result.claimed[0].row;
    end_and_retry(trial, me, &b);
    assert_string_equal(pinned(trial), "1 -");
    assert_string_equal(trial_sql(trial, "SELECT source FROM waiting"),
                        "r-00000");
}

/** An operator's id is of that account, too. */
TEST(pinned__that_gets_an_id__is_polled_by_its_account)
{
    struct trial *trial = *state;
    trial_join(trial);
    take_in(trial, 0, "elsewhere", "a", 5);
    take_in(trial, 1, NULL, "a", 5);
    trial_sql(trial,
              "INSERT INTO account VALUES ('elsewhere:0:1', 0, 0, 0, 1), "
              "('elsewhere:0:2', 0, 0, 0, 2)");
    for (int i = 0; i < 2; i++) {
        struct trial_answer answer = {.trial = trial};
        store_learn(
            trial->store, trial_number(trial, "SELECT min(id) FROM waiting"), 0,
            i ? STR("task_1") : STR("task_0"), trial_on_learnt, &answer);
        trial_await(&answer);
        assert_int_equal(answer.learnt, LEARN_WRITTEN);
    }
    assert_string_equal(
        trial_sql(trial,
                  "SELECT string_agg(account, ', ' ORDER BY id) FROM task"),
        "elsewhere:0:2, ");
}

static void on_places(void *context, const struct places_result *result)
{
    struct trial_answer *answer = context;
    answer->done = result->waits;
    trial_take_err(answer, &result->err);
}

static bool waits_for(struct trial *trial, int64_t me, const char *account)
{
    static const int64_t after[PRIORITIES] = {99, 99, 99, 99, 99,
                                              99, 99, 99, 99, 99};
    const struct str name = str_of(account);
    struct trial_answer answer = {.trial = trial};
    const struct places ask = {.owner = me,
                               .more = 1,
                               .most = 9,
                               .claim_after = after,
                               .accounts = &name,
                               .accounts_len = 1};
    store_places(trial->store, &ask, on_places, &answer);
    trial_await(&answer);
    assert_int_equal(answer.err.kind, ERR_NONE);
    return answer.done;
}

static void on_look(void *context, const struct share_seen *seen, size_t len,
                    const struct err *err)
{
    struct trial_answer *answer = context;
    answer->id = (int64_t)len;
    for (size_t i = 0; i < len; i++) {
        assert_true(seen[i].waits && str_eq(seen[i].tenant, STR("b")));
    }
    trial_take_err(answer, err);
}

static int64_t look(struct trial *trial, int64_t me, const char *account)
{
    const struct str name = str_of(account);
    struct trial_answer answer = {.trial = trial};
    const struct share_look ask = {.owner = me,
                                   .now_ms = TRIAL_NOW + 1000,
                                   .accounts = &name,
                                   .accounts_len = 1};
    store_share_look(trial->store, &ask, on_look, &answer);
    trial_await(&answer);
    return answer.id;
}

static const char *share(struct trial *trial, int64_t me, const char *account)
{
    static const struct share_ask ask = {"b", 5};
    const struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me,
                                             .claims_max = 5,
                                             .account = account,
                                             .sharing = true,
                                             .shares = &ask,
                                             .shares_len = 1});
    return names(trial, &result);
}

/** By tenants, and under the fleet's limit: whose waits tells, too. */
TEST(pinned__by_tenants__is_its_accounts)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_sql(trial, "INSERT INTO tenant (name) VALUES ('a')");
    take_in(trial, 0, "elsewhere", "b", 5);
    take_in(trial, 1, "elsewhere", "b", 9);
    assert_false(waits_for(trial, me, "trial"));
    assert_true(waits_for(trial, me, "elsewhere"));
    assert_int_equal(look(trial, me, "trial"), 0);
    assert_int_equal(look(trial, me, "elsewhere"), 1);
    assert_string_equal(share(trial, me, NULL), "");
    assert_string_equal(share(trial, me, ELSEWHERE), "10");
}

/** What a held account, or one that is gone, has to wait with is not claimable.
 */
TEST(pinned__to_who_is_held__counts_apart_and_is_told)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    take_in(trial, 0, "trial", "a", 5);
    take_in(trial, 1, "trial", "a", 5);
    take_in(trial, 2, NULL, "a", 5);
    take_in(trial, 3, "gone", "a", 5);
    struct count_result count = trial_count(trial, false);
    assert_int_equal(count.queued, 3);
    assert_int_equal(count.blocked, 1);
    assert_string_equal(trial_sql(trial, "SELECT blocked_most FROM fleet"),
                        "account gone");
    trial_sql(trial, "INSERT INTO hold VALUES ('balance', '%s', 1, 1, 'empty')",
              TRIAL_ACCOUNT);
    trial_sql(trial, "INSERT INTO hold VALUES ('auth', '%s', 1, 1, 'denied')",
              "gone:1:2");
    count = trial_count(trial, false);
    assert_int_equal(count.queued, 1);
    assert_int_equal(count.blocked, 3);
    assert_string_equal(trial_sql(trial, "SELECT blocked_most FROM fleet"),
                        "account trial");
    assert_string_equal(
        trial_sql(trial, "SELECT string_agg(message, '; ' ORDER BY account) "
                         "FROM pinned_held"),
        "waits for account gone, which has what it extends: no live worker has "
        "that account; waits for account trial, which has what it extends: "
        "hold balance: empty");
    /* What an old key is told holds nobody up. */
    trial_sql(trial, "UPDATE lease SET accounts = ARRAY['trial:new:key', '%s']",
              TRIAL_ACCOUNT);
    count = trial_count(trial, false);
    assert_int_equal(count.queued, 3);
    assert_int_equal(count.blocked, 1);
    trial_sql(trial, "UPDATE lease SET accounts = ARRAY['%s']", TRIAL_ACCOUNT);
    trial_sql(trial,
              "UPDATE waiting SET budget = 'a' WHERE pinned IS NOT NULL");
    count = trial_count(trial, false);
    assert_int_equal(count.queued, 1);
    assert_int_equal(count.blocked, 3);
    assert_string_equal(trial_sql(trial, "SELECT blocked_most FROM fleet"),
                        "a budget of tenant a");
    trial_sql(trial, "UPDATE waiting SET budget = NULL, source = 'r' "
                     "WHERE pinned IS NOT NULL");
    assert_int_equal(trial_count(trial, false).blocked, 3);
    assert_string_equal(trial_sql(trial, "SELECT blocked_most FROM fleet"),
                        "what requests of tenant a extend");
    assert_int_equal(
        trial_good_turn(trial, (struct turn){.owner = me}).err.kind, ERR_NONE);
}

TESTS_RUN(NULL, NULL)
