#include "edge/store_trial.h"

#include "edge/pg/pg.h"

/*
 * Tenants: who waits and who occupies, what is claimed of each, and that no cap
 * is exceeded, by whoever claims.
 */

struct looked {
    struct trial_answer answer;
    struct share_seen seen[8];
    size_t len;
};

static void on_look(void *context, const struct share_seen *seen, size_t len,
                    const struct err *err)
{
    static const struct err none;
    struct looked *looked = context;
    for (size_t i = 0; i < len && i < 8; i++) {
        looked->seen[i] = seen[i];
        looked->seen[i].tenant =
            trial_copy_str(looked->answer.trial, seen[i].tenant);
    }
    looked->len = len;
    trial_take_err(&looked->answer, err ? err : &none);
}

/** As text: "a waits held=0 weight=1 slots=0\n" a tenant. */
static const char *look(struct trial *trial, int64_t owner)
{
    struct looked looked = {.answer.trial = trial};
    const struct share_look ask = {.owner = owner, .now_ms = TRIAL_NOW + 1000};
    struct buf text;
    store_share_look(trial->store, &ask, on_look, &looked);
    trial_await(&looked.answer);
    assert_string_equal(looked.answer.err.text, "");
    buf_init(&text, 0);
    for (size_t i = 0; i < looked.len; i++) {
        const struct share_seen *seen = &looked.seen[i];
        buf_printf(&text, "%.*s%s held=%d weight=%d slots=%d\n",
                   (int)seen->tenant.len, seen->tenant.at,
                   seen->waits ? " waits" : "", seen->held, seen->weight,
                   seen->slots);
    }
    char *copy =
        arena_copy(&trial->arena, text.len ? text.bytes : "", text.len);
    buf_done(&text);
    return copy;
}

static void set(struct trial *trial, const char *name, int weight,
                const char *slots)
{
    trial_sql(trial,
              "INSERT INTO tenant VALUES ('%s', %d, %s) ON CONFLICT (name) DO "
              "UPDATE SET weight = excluded.weight, slots = excluded.slots",
              name, weight, slots);
}

/** So many of each: "aab". */
static void ask_in(struct trial *trial, const char *tenants, int first)
{
    struct intake_row rows[64];
    size_t len = strlen(tenants);
    assert_true(len <= 64);
    for (size_t i = 0; i < len; i++) {
        rows[i] = trial_request(trial, first + (int)i);
        rows[i].tenant = trial_copy_str(trial, (struct str){&tenants[i], 1});
    }
    assert_int_equal(trial_intake(trial, rows, len).err.kind, ERR_NONE);
}

static const struct share_use marker = {"", "", 0};

/** It claims by shares, and occupies nothing else. */
static void enter(struct trial *trial, int64_t owner)
{
    trial_good_turn(trial, (struct turn){.owner = owner,
                                         .uses_told = true,
                                         .uses_all = true,
                                         .uses = &marker,
                                         .uses_len = 1});
}

static struct turn_result claim(struct trial *trial, int64_t owner,
                                const char *tenant, int n)
{
    const struct share_ask asks[] = {{tenant, n}};
    return trial_good_turn(trial, (struct turn){.owner = owner,
                                                .claims_max = n,
                                                .sharing = true,
                                                .capped = true,
                                                .shares = asks,
                                                .shares_len = 1});
}

static int64_t used(struct trial *trial, const char *tenant)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT coalesce(sum(n), 0) FROM lease_use WHERE tenant = '%s'",
             tenant);
    return trial_number(trial, sql);
}

/** While nobody has a weight, a cap or the setting. */
TEST(tenants__that_nobody_set__are_in_no_index)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    ask_in(trial, "ab", 0);
    assert_int_equal(
        trial_number(trial, "SELECT count(*) FROM waiting WHERE tenant IS NOT "
                            "NULL"),
        0);
    assert_string_equal(look(trial, me), "");
    struct trial_answer answer = {.trial = trial};
    const struct beat ask = {.owner = me};
    store_beat(trial->store, &ask, trial_on_beat, &answer);
    trial_await(&answer);
    assert_false(answer.beat.shares);
    set(trial, "a", 2, "NULL");
    store_beat(trial->store, &ask, trial_on_beat, &answer);
    trial_await(&answer);
    assert_true(answer.beat.shares);
}

TEST(tenants__that_came_before__are_told_apart)
{
    struct trial *trial = *state;
    struct trial_answer answer = {.trial = trial};
    int64_t me = trial_join(trial);
    ask_in(trial, "ab", 0);
    store_share_tag(trial->store, trial_on_done, &answer);
    trial_await(&answer);
    assert_false(answer.done);
    assert_string_equal(look(trial, me), ""); /* not yet */
    set(trial, "a", 2, "5");
    ask_in(trial, "c", 2);
    assert_string_equal(look(trial, me), "c waits held=0 weight=1 slots=0\n");
    store_share_tag(trial->store, trial_on_done, &answer);
    trial_await(&answer);
    assert_true(answer.done);
    assert_string_equal(look(trial, me), "a waits held=0 weight=2 slots=5\n"
                                         "b waits held=0 weight=1 slots=0\n"
                                         "c waits held=0 weight=1 slots=0\n");
    store_share_tag(trial->store, trial_on_done, &answer);
    trial_await(&answer);
    assert_false(answer.done);
}

/** Another's are seen, our own we know; who only occupies is there, too. */
TEST(look__tells_what_the_others_hold)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    set(trial, "a", 1, "NULL");
    ask_in(trial, "aab", 0);
    enter(trial, other);
    assert_int_equal(claim(trial, other, "a", 2).claimed_len, 2);
    assert_string_equal(look(trial, me), "a held=2 weight=1 slots=0\n"
                                         "b waits held=0 weight=1 slots=0\n");
    assert_string_equal(look(trial, other),
                        "b waits held=0 weight=1 slots=0\n");
    assert_true(trial_bury(trial, other));
    assert_string_equal(look(trial, me), "b waits held=0 weight=1 slots=0\n");
}

/** One that is put off, ordered to be cancelled or in doubt is no claim's. */
TEST(claim_share__takes_each_by_priority_then_age)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    const int priorities[] = {1, 9, 5, 9, 9};
    struct intake_row rows[5];
    set(trial, "a", 1, "NULL");
    for (int i = 0; i < 5; i++) {
        rows[i] = trial_request(trial, i);
        rows[i].tenant = STR("a");
        rows[i].priority = priorities[i];
    }
    rows[4].tenant = STR("b");
    trial_intake(trial, rows, 5);
    const struct share_ask asks[] = {{"a", 3}, {"b", 3}, {"c", 1}};
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me,
                                             .claims_max = 7,
                                             .sharing = true,
                                             .shares = asks,
                                             .shares_len = 3});
    const char *const expected[] = {"r-00001", "r-00003", "r-00004", "r-00002"};
    assert_int_equal(result.claimed_len, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(str_eq(result.claimed[i].request_id, str_of(expected[i])));
        assert_int_equal(result.claimed[i].row.state, SUBMITTING);
        assert_int_equal(result.claimed[i].row.owner, me);
    }
    assert_int_equal(used(trial, "a"), 3);
    assert_int_equal(used(trial, "b"), 1);
    assert_string_equal(
        trial_sql(trial, "SELECT DISTINCT account FROM lease_use"), "trial");
}

TEST(caps__of_two_workers__are_not_exceeded)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    set(trial, "a", 1, "3");
    ask_in(trial, "aaaaaaaab", 0);
    enter(trial, me);
    enter(trial, other);
    assert_int_equal(claim(trial, me, "a", 2).claimed_len, 2);
    assert_int_equal(claim(trial, other, "a", 2).claimed_len, 1);
    assert_int_equal(claim(trial, other, "a", 2).claimed_len, 0);
    assert_int_equal(claim(trial, me, "b", 2).claimed_len, 1);
    /* What has ended is told, and gone. */
    const struct share_use less[] = {{"trial", "a", 1}};
    const struct share_ask asks[] = {{"a", 5}};
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me,
                                             .uses_told = true,
                                             .uses = less,
                                             .uses_len = 1,
                                             .claims_max = 5,
                                             .sharing = true,
                                             .capped = true,
                                             .shares = asks,
                                             .shares_len = 1});
    assert_int_equal(result.claimed_len, 1);
    assert_int_equal(used(trial, "a"), 3);
    assert_int_equal(used(trial, "b"), 1); /* it was not among them */
}

/** Nobody waits for who claims of such; the others' claims go on. */
TEST(caps__while_another_claims_of_such__are_busy)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    set(trial, "a", 1, "3");
    ask_in(trial, "aab", 0);
    enter(trial, me);
    trial_sql(trial, "SELECT pg_advisory_lock(7264930522)");
    const struct share_ask asks[] = {{"a", 1}, {"b", 1}};
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me,
                                             .claims_max = 2,
                                             .sharing = true,
                                             .capped = true,
                                             .shares = asks,
                                             .shares_len = 2});
    assert_int_equal(result.claimed_len, 1);
    assert_true(str_eq(result.claimed[0].tenant, STR("b")));
    assert_true(result.caps_busy);
    trial_sql(trial, "SELECT pg_advisory_unlock(7264930522)");
    assert_int_equal(claim(trial, me, "a", 1).claimed_len, 1);
}

/** A cap that nobody knew of when the claim was planned. */
TEST(caps__that_the_claim_did_not_know__let_nothing_in)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    set(trial, "a", 1, "3");
    ask_in(trial, "aa", 0);
    enter(trial, me);
    const struct share_ask asks[] = {{"a", 1}};
    assert_int_equal(trial_good_turn(trial, (struct turn){.owner = me,
                                                          .claims_max = 1,
                                                          .sharing = true,
                                                          .shares = asks,
                                                          .shares_len = 1})
                         .claimed_len,
                     0);
}

/** A cap that is being set waits for claims, and they for nobody. */
TEST(caps__while_one_is_being_set__nothing_is_claimed)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    set(trial, "a", 1, "NULL");
    ask_in(trial, "aa", 0);
    enter(trial, me);
    trial_sql(trial, "SELECT pg_advisory_lock(7264930519)");
    struct turn_result result = claim(trial, me, "a", 1);
    assert_int_equal(result.claimed_len, 0);
    assert_true(result.caps_busy);
    trial_sql(trial, "SELECT pg_advisory_unlock(7264930519)");
    assert_int_equal(claim(trial, me, "a", 1).claimed_len, 1);
}

/** Locks of budgets, of orders and of migrations are others. */
TEST(claims__while_other_locks_of_the_fleet_are_held__go_on)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    set(trial, "a", 1, "3");
    ask_in(trial, "aa", 0);
    enter(trial, me);
    trial_sql(trial, "SELECT pg_advisory_lock(7264930517), "
                     "pg_advisory_lock(7264930518), "
                     "pg_advisory_lock(7264930520), "
                     "pg_advisory_lock(7264930521)");
    assert_int_equal(claim(trial, me, "a", 1).claimed_len, 1);
    trial_sql(trial, "SELECT pg_advisory_unlock_all()");
}

/** It may claim by priority, and say nothing of it. */
TEST(caps__while_one_does_not_claim_by_shares__let_nothing_in)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    set(trial, "a", 1, "3");
    ask_in(trial, "aab", 0);
    enter(trial, me);
    assert_int_equal(claim(trial, me, "a", 1).claimed_len, 0);
    assert_int_equal(claim(trial, me, "b", 1).claimed_len, 1);
    enter(trial, other);
    assert_int_equal(claim(trial, me, "a", 1).claimed_len, 1);
    /* It goes back to priorities. */
    trial_good_turn(
        trial,
        (struct turn){.owner = other, .uses_told = true, .uses_all = true});
    assert_int_equal(claim(trial, me, "a", 1).claimed_len, 0);
}

/** Of the dead their rows count; who takes them over has them from then on. */
TEST(caps__over_a_death_and_a_takeover__are_not_exceeded)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    set(trial, "a", 1, "3");
    ask_in(trial, "aaaaaaaa", 0);
    enter(trial, me);
    enter(trial, other);
    assert_int_equal(claim(trial, other, "a", 2).claimed_len, 2);
    assert_true(trial_bury(trial, other));
    assert_int_equal(claim(trial, me, "a", 5).claimed_len, 1);
    assert_int_equal(claim(trial, me, "a", 5).claimed_len, 0);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .adopts_max = 10});
    assert_int_equal(result.adopted_len, 2);
    assert_int_equal(claim(trial, me, "a", 5).claimed_len, 0);
    trial_good_turn(
        trial, (struct turn){.owner = me, .forget = &other, .forget_len = 1});
    assert_int_equal(used(trial, "a"), 3);
    assert_int_equal(claim(trial, me, "a", 5).claimed_len, 0);
}

/** A row that waits again is in its tenant's queue. */
TEST(tenants__of_what_waits_again__are_known)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    set(trial, "a", 1, "NULL");
    ask_in(trial, "a", 0);
    enter(trial, me);
    struct turn_result result = claim(trial, me, "a", 1);
    assert_int_equal(result.claimed_len, 1);
    struct task_row row = result.claimed[0].row;
    row.state = QUEUED;
    row.owner = 0;
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    assert_string_equal(look(trial, me), "a waits held=0 weight=1 slots=0\n");
}

TESTS_RUN(NULL, NULL)
