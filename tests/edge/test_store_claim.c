#include "core/step.h"
#include "edge/store_trial.h"
#include "edge/pg/pg.h"
#include "lib/rows.h"

/* What waits becomes ours. */

/** What its idempotency key is made of is there as it is stored. */
static void assert_key_parts(struct trial *trial, const struct facts_row *facts)
{
    char hex[2 * DIGEST_BYTES + 1];
    assert_int_equal(facts->content.len, DIGEST_BYTES);
    str_hex((const unsigned char *)facts->content.at, DIGEST_BYTES, hex);
    assert_string_equal(hex,
                        trial_sql(trial,
                                  "SELECT encode(content, 'hex') FROM request "
                                  "WHERE id = %lld",
                                  (long long)facts->id));
    assert_int_equal(facts->salt.len, SALT_BYTES);
    str_hex((const unsigned char *)facts->salt.at, SALT_BYTES, hex);
    assert_string_equal(
        hex, trial_sql(trial, "SELECT encode(salt, 'hex') FROM meta"));
}

/** claim.sql has a rule of core/step.c in words of its own. */
TEST(claim__a_waiting_row__is_what_the_step_says)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    const char *const lived = /* it waited, was refused, waited again */
        "UPDATE waiting SET fence = 6, version = 9, submission = 2, attempt = 3, tries = 4, "
        "deadline_ms = 4102444800000, not_before_ms = 55, first_sent_ms = 33, "
        "last_sent_ms = 44, account = 'another', source_task_id = 'task_s'";
    trial_sql(trial, "%s", lived);
    int64_t id = trial_number(trial, "SELECT id FROM waiting");
    const struct task waits = {
        .row = {.id = id,
                .state = QUEUED,
                .fence = 6,
                .version = 9,
                .submission = 2,
                .attempt = 3,
                .tries = 4,
                .received_ms = TRIAL_NOW,
                .deadline_ms = INT64_C(4102444800000),
                .not_before_ms = 55,
                .first_sent_ms = 33,
                .last_sent_ms = 44,
                .account = "another",
                .source_task_id = (char *)"task_s"},
    };
    const struct outcome outcome = {.kind = OUTCOME_CLAIMED};
    const struct policy policy = {.account = TRIAL_ACCOUNT};
    struct step step = task_step(&waits, &outcome, &policy, TRIAL_NOW + 1000);
    struct task_row expected = step.next.row;
    expected.owner = me; /* whose and which: what the store knows alone */
    expected.fence += 1;
    assert_true(step.save);

    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 5});
    assert_int_equal(result.claimed_len, 1);
    const struct task_read *read = &result.claimed[0];
    const struct facts_row *facts = &result.claimed_facts[0];
    assert_false(read->unreadable);
    const char *column = rows_differ(&read->row, &expected);
    if (column) {
        fail_msg("the rule and the statement differ in %s", column);
    }
    assert_true(str_eq(read->request_id, STR("r-00000")));
    assert_true(str_eq(read->tenant, STR("default")));
    assert_int_equal(facts->id, id);
    assert_key_parts(trial, facts);
    assert_true(str_eq(
        facts->body, STR("{\"prompt\":\"a \\\"quoted\\\" word, {braces}\"}")));
    assert_true(str_eq(facts->facts.metadata, STR("{\"a\":\"b\\\\c\"}")));
    assert_int_equal(facts->facts.mode, MODE_TEXT);
    assert_null(facts->facts.tracestate.at);
    assert_int_equal(facts->facts.received_ms, TRIAL_NOW);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"), 0);
}

TEST(claim__priorities__the_highest_then_the_oldest)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    const int priorities[] = {1, 9, 5, 9};
    struct intake_row rows[4];
    for (int i = 0; i < 4; i++) {
        rows[i] = trial_request(trial, i);
        rows[i].priority = priorities[i];
    }
    trial_intake(trial, rows, 4);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 3});
    const char *const expected[] = {"r-00001", "r-00003", "r-00002"};
    assert_int_equal(result.claimed_len, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(str_eq(result.claimed[i].request_id, str_of(expected[i])));
        assert_int_equal(result.claimed[i].row.id, result.claimed_facts[i].id);
    }
}

/** Of each priority behind its own key; what lies before comes from the start.
 */
TEST(claim__behind_keys__takes_what_comes_after_them)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    const int priorities[] = {9, 0, 9, 0, 5};
    struct intake_row rows[5];
    for (int i = 0; i < 5; i++) {
        rows[i] = trial_request(trial, i);
        rows[i].priority = priorities[i];
    }
    trial_intake(trial, rows, 5);
    int64_t first = (int64_t)trial_number(trial, "SELECT min(id) FROM request");
    struct turn turn = {.owner = me, .claims_max = 5};
    turn.claim_after[9] = first;
    turn.claim_after[0] = first + 1;
    struct turn_result result = trial_good_turn(trial, turn);
    const char *const expected[] = {"r-00002", "r-00004", "r-00003"};
    assert_int_equal(result.claimed_len, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(str_eq(result.claimed[i].request_id, str_of(expected[i])));
    }
    assert_int_equal(result.claimed_last[9], first + 2);
    assert_int_equal(result.claimed_last[5], first + 4);
    assert_int_equal(result.claimed_last[0], first + 3);
    assert_int_equal(result.claimed_last[1], 0);
    result =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 5});
    assert_int_equal(result.claimed_len, 2);
    assert_true(str_eq(result.claimed[0].request_id, STR("r-00000")));
}

TEST(claim__not_before_and_deadline__are_kept)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct intake_row rows[3];
    for (int i = 0; i < 3; i++) {
        rows[i] = trial_request(trial, i);
    }
    rows[1].deadline_seconds = 10;
    trial_intake(trial, rows, 3);
    trial_sql(trial,
              "UPDATE waiting SET not_before_ms = %lld WHERE id = "
              "(SELECT id FROM request WHERE request_id = 'r-00000')",
              (long long)TRIAL_NOW + 50000);
    struct turn late = {
        .owner = me, .claims_max = 9, .now_ms = TRIAL_NOW + 10000};
    struct turn_result result = trial_good_turn(trial, late);
    assert_int_equal(result.claimed_len, 1);
    assert_true(str_eq(result.claimed[0].request_id, STR("r-00002")));
    late.now_ms = TRIAL_NOW + 50000;
    result = trial_good_turn(trial, late);
    assert_int_equal(result.claimed_len, 1);
    assert_true(str_eq(result.claimed[0].request_id, STR("r-00000")));
}

TEST(claim__two_owners__get_different_rows)
{
    struct trial *trial = *state;
    int64_t one = trial_join(trial);
    int64_t other = trial_join(trial);
    trial_requests(trial, 100);
    struct trial_answer answers[2] = {{.trial = trial}, {.trial = trial}};
    struct store *second = trial_open_store(trial);
    while (!store_is_up(second)) {
        trial_wait(trial);
    }
    struct turn turn = {.owner = one,
                        .claims_max = 60,
                        .now_ms = TRIAL_NOW + 1,
                        .account = TRIAL_ACCOUNT,
                        .bucket = "bucket"};
    store_turn(trial->store, &turn, trial_on_turn, &answers[0]);
    turn.owner = other;
    store_turn(second, &turn, trial_on_turn, &answers[1]);
    while (!answers[0].turn.commits || !answers[1].turn.commits) {
        trial_wait(trial);
    }
    store_close(second);
    assert_int_equal(answers[0].turn.claimed_len + answers[1].turn.claimed_len,
                     100);
    assert_int_equal(
        trial_number(trial, "SELECT count(*) FROM task WHERE state = 1 AND "
                            "fence = 1"),
        100);
}

TEST(claim__a_dead_lease__gets_nothing)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 3);
    assert_true(trial_bury(trial, me));
    struct turn_result result = trial_good_turn(
        trial,
        (struct turn){
            .owner = me, .claims_max = 3, .adopts_max = 3, .expires_max = 3});
    assert_true(result.lease_dead);
    assert_int_equal(result.claimed_len, 0);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"), 3);
}

TEST(claim__a_missing_lease__gets_nothing)
{
    struct trial *trial = *state;
    trial_requests(trial, 1);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = 999, .claims_max = 3});
    assert_true(result.lease_dead);
    assert_int_equal(result.claimed_len, 0);
}

TEST(claim__holds_in_scope__stop_it)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    static const struct {
        const char *reason;
        const char *scope;
        bool stops;
    } cases[] = {
        {"auth", TRIAL_ACCOUNT, true},    {"balance", TRIAL_ACCOUNT, true},
        {"channel", TRIAL_ACCOUNT, true}, {"storage", "bucket", true},
        {"operator", "*", true},          {"auth", "another", false},
        {"storage", "another", false},    {"account", TRIAL_ACCOUNT, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        trial_sql(trial, "INSERT INTO hold VALUES ('%s', '%s', 1, 1, '')",
                  cases[i].reason, cases[i].scope);
        struct turn_result result =
            trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 1});
        assert_int_equal(result.claimed_len, cases[i].stops ? 0 : 1);
        if (result.claimed_len) {
            struct task_row row = result.claimed[0].row;
            row.state = QUEUED;
            assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
        }
        trial_sql(trial, "DELETE FROM hold");
    }
}

TEST(claim__slots_of_an_account__are_left_by_others)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 9);
    struct turn turn = {
        .owner = me, .claims_max = 5, .account = "a:00:11", .account_slots = 2};
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 2);
    assert_true(result.slots_full);
    assert_string_equal(result.claimed[0].row.account, "a:00:11");
    turn.account = "a:00:22"; /* another key is no other account */
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 0);
    assert_true(result.slots_full);
    turn.account = "aa:00:11";
    turn.account_slots = 6;
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 5);
    assert_false(result.slots_full);
    turn.account = "a:00:11";
    turn.account_slots = 0; /* who has no limit doesn't count */
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 2);
    assert_false(result.slots_full);
    turn.account_slots = 2; /* nothing waits: it isn't full */
    assert_false(trial_good_turn(trial, turn).slots_full);
}

TEST(claim__under_slots_while_another_does__is_put_off)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 3);
    struct task_row row = trial_claim_one(trial, me);
    row.state = READY;
    row.version++;
    const struct task_row *rows[] = {&row};
    struct turn turn = {.owner = me,
                        .claims_max = 2,
                        .account = TRIAL_ACCOUNT,
                        .account_slots = 1,
                        .saves = rows,
                        .saves_len = 1};
    trial_sql(trial, "SELECT pg_advisory_lock(726493051, hashtext('trial'))");
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.saves[0], SAVE_DONE);
    assert_int_equal(result.claimed_len, 0);
    assert_true(result.claims_put_off);
    assert_false(result.slots_full);
    turn.saves_len = 0;
    turn.account_slots = 0;
    turn.claims_max = 1;
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 1);
    trial_sql(trial, "SELECT pg_advisory_unlock(726493051, hashtext('trial'))");
    turn.account_slots = 2;
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 1);
    assert_false(result.claims_put_off);
}

/** The slot that a save gives back is claimed in the transaction that stores
 * it. */
TEST(claim__under_slots__has_those_of_its_saves)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 2);
    struct task_row row = trial_claim_one(trial, me);
    row.state = READY;
    row.version++;
    const struct task_row *rows[] = {&row};
    const struct turn turn = {.owner = me,
                              .saves = rows,
                              .saves_len = 1,
                              .claims_max = 1,
                              .account = TRIAL_ACCOUNT,
                              .account_slots = 1};
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.saves[0], SAVE_DONE);
    assert_int_equal(result.claimed_len, 1);
    assert_int_equal(
        trial_number(trial, "SELECT count(DISTINCT xmin::text) FROM task"), 1);
}

/* ---- slots that are learnt ---- */

static struct limit stored_limit(struct trial *trial, int64_t owner)
{
    struct trial_answer answer = {.trial = trial};
    const struct beat ask = {.owner = owner};
    store_beat(trial->store, &ask, trial_on_beat, &answer);
    trial_await(&answer);
    assert_int_equal(answer.beat.err.kind, ERR_NONE);
    return answer.beat.accounts_len ? answer.beat.accounts[0].limit
                                    : (struct limit){0};
}

static struct limit_write limit_of(int slots, int64_t was_ms)
{
    return (struct limit_write){
        .name = STR("trial"),
        .next = {slots, TRIAL_NOW - 1, was_ms + 7},
        .ceiling = 40,
        .was_ms = was_ms,
    };
}

static bool write_limit(struct trial *trial, int slots, int64_t was_ms)
{
    struct trial_answer answer = {.trial = trial};
    const struct limit_write write = limit_of(slots, was_ms);
    store_limit(trial->store, &write, trial_on_done, &answer);
    trial_await(&answer);
    assert_int_equal(answer.err.kind, ERR_NONE);
    return answer.done;
}

TEST(limit__follows_what_was_read__and_nothing_else)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    assert_true(write_limit(trial, 30, 0));
    assert_false(write_limit(trial, 22, 0));
    const struct limit limit = stored_limit(trial, me);
    assert_int_equal(limit.slots, 30);
    assert_int_equal(limit.refused_ms, TRIAL_NOW - 1);
    assert_int_equal(limit.changed_ms, 7);
    assert_true(write_limit(trial, 22, 7));
    assert_string_equal(
        trial_sql(trial, "SELECT concat_ws(' ', slots_learnt, slots_of, "
                         "learnt_ms) FROM account_url"),
        "22 40 14");
    struct limit_write other = limit_of(5, 14);
    struct trial_answer answer = {.trial = trial};
    other.name = STR("other");
    store_limit(trial->store, &other, trial_on_done, &answer);
    trial_await(&answer);
    assert_false(answer.done);
}

/** Both have read the same, and both were refused: that is one decrease. */
TEST(limit__written_by_two_at_once__is_the_first_ones)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "UPDATE account_url SET slots_learnt = 30, slots_of = 40, "
                     "learnt_ms = 5 WHERE learnt_ms = 0");
    struct trial_answer answer = {.trial = trial, .id = -1};
    const struct limit_write write = limit_of(30, 0);
    store_limit(trial->store, &write, trial_on_done, &answer);
    do {
        (void)stored_limit(trial, me);
    } while (trial_waiter(trial) == 0);
    trial_sql(trial, "COMMIT");
    trial_await(&answer);
    assert_int_equal(answer.err.kind, ERR_NONE);
    assert_false(answer.done);
    assert_int_equal(stored_limit(trial, me).changed_ms, 5);
}

/** A request of before the database was set back: bought already, perhaps. */
TEST(claim__in_doubt__only_while_its_key_protects_it)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct intake_row rows[4];
    const int64_t ages_ms[] = {0, 1000, 9000, 0};
    trial_sql(trial, "UPDATE meta SET rewound_ms = %lld", (long long)TRIAL_NOW);
    for (int i = 0; i < 4; i++) {
        rows[i] = trial_request(trial, i);
        rows[i].produced_ms = TRIAL_NOW - ages_ms[i];
    }
    rows[3].produced_ms = 0; /* nobody knows when */
    trial_intake(trial, rows, 4);
    assert_string_equal(trial_sql(trial, "SELECT string_agg(doubt::text, ' ' "
                                         "ORDER BY id) FROM waiting"),
                        "false true true true");
    struct turn turn = {.owner = me, .claims_max = 5, .resend_after_ms = 1};
    turn.resend_after_ms = INT64_MAX;
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 1);
    turn.resend_after_ms = TRIAL_NOW - 5000;
    /* Nobody knows whether it was this account that it was sent to. */
    trial_sql(trial, "UPDATE account SET since_ms = %lld",
              (long long)TRIAL_NOW + 1);
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 0);
    trial_sql(trial, "UPDATE account SET since_ms = 5");
    /* It may have been the other one, or under the other key. */
    trial_sql(trial, "INSERT INTO account VALUES ('other', 1, 6000, 0, 5)");
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 0);
    trial_sql(trial, "DELETE FROM account WHERE account = 'other'");
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 1);
    const struct task_row *row = &result.claimed[0].row;
    assert_true(row->doubt);
    assert_int_equal(row->first_sent_ms, TRIAL_NOW - 1000);
    assert_true(row->last_sent_ms > TRIAL_NOW - 1000);
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 0);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"), 2);
}

TEST(claim__in_doubt__is_what_the_rule_says)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t id = trial_requests(trial, 1)[0];
    trial_sql(trial, "UPDATE meta SET rewound_ms = %lld", (long long)TRIAL_NOW);
    trial_sql(trial, "UPDATE account SET since_ms = 5");
    trial_sql(trial, "UPDATE waiting SET doubt = true, first_sent_ms = 7");
    const struct task waits = {.row = {.id = id,
                                       .state = QUEUED,
                                       .received_ms = TRIAL_NOW,
                                       .doubt = true,
                                       .first_sent_ms = 7}};
    const struct outcome outcome = {.kind = OUTCOME_CLAIMED};
    const struct policy policy = {.account = TRIAL_ACCOUNT};
    struct task_row expected =
        task_step(&waits, &outcome, &policy, TRIAL_NOW + 1000).next.row;
    expected.owner = me;
    expected.fence += 1;
    struct turn_result result = trial_good_turn(
        trial,
        (struct turn){.owner = me, .claims_max = 5, .resend_after_ms = 6});
    assert_int_equal(result.claimed_len, 1);
    const char *column = rows_differ(&result.claimed[0].row, &expected);
    if (column) {
        fail_msg("the rule and the statement differ in %s", column);
    }
}

TEST(facts__of_any_submission__have_what_its_key_is_made_of)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    const int64_t *ids = trial_requests(trial, 2);
    trial_sql(trial, "UPDATE waiting SET submission = 3 WHERE id = %lld",
              (long long)ids[1]);
    trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 2});
    struct turn_result result = trial_good_turn(
        trial, (struct turn){.owner = me, .facts = ids, .facts_len = 2});
    assert_int_equal(result.facts_len, 2);
    for (int i = 0; i < 2; i++) {
        assert_key_parts(trial, &result.facts[i]);
    }
}

TESTS_RUN(NULL, NULL)
