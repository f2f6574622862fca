#include "core/step.h"
#include "edge/store_trial.h"
#include "edge/pg/pg.h"
#include "lib/rows.h"

/* ---- claim ---- */

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
        "UPDATE waiting SET fence = 6, version = 9, submission = 2, tries = 4, "
        "deadline_ms = 4102444800000, not_before_ms = 55, first_sent_ms = 33, "
        "last_sent_ms = 44, account = 'another'";
    trial_sql(trial, "%s", lived);
    int64_t id = trial_number(trial, "SELECT id FROM waiting");
    const struct task waits = {
        .row = {.id = id,
                .state = QUEUED,
                .fence = 6,
                .version = 9,
                .submission = 2,
                .tries = 4,
                .received_ms = TRIAL_NOW,
                .deadline_ms = INT64_C(4102444800000),
                .not_before_ms = 55,
                .first_sent_ms = 33,
                .last_sent_ms = 44,
                .account = "another"},
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
        assert_false(result.generations_full);
        if (result.claimed_len) {
            struct task_row row = result.claimed[0].row;
            row.state = QUEUED;
            assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
        }
        trial_sql(trial, "DELETE FROM hold");
    }
}

TEST(claim__generations_max__bounds_the_fleet)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    trial_requests(trial, 10);
    struct turn turn = {.owner = me, .claims_max = 4, .generations_max = 6};
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 4);
    turn.owner = other;
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 2);
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 0);
    assert_true(result.generations_full);
    /* Ten minutes after its last send a task counts no more. */
    turn.now_ms = TRIAL_NOW + 1000 + 600001;
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 4);
    assert_false(result.generations_full);
    turn.now_ms++;
    trial_sql(trial, "DELETE FROM waiting");
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 0);
    assert_false(result.generations_full);
}

/** Nobody waits for who counts: not the claim, and no row that changed. */
TEST(claim__while_another_counts__is_told_so)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 3);
    struct task_row row = trial_claim_one(trial, me);
    row.state = RUNNING;
    row.version++;
    const struct task_row *rows[] = {&row};
    struct turn turn = {.owner = me, .claims_max = 2, .generations_max = 6};
    turn.saves = rows;
    turn.saves_len = 1;
    trial_sql(trial, "SELECT pg_advisory_lock(7264930517)");
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.saves[0], SAVE_DONE);
    assert_int_equal(result.claimed_len, 0);
    assert_true(result.generations_busy);
    assert_false(result.generations_full);
    turn.saves_len = 0;
    turn.generations_max = 0; /* who has no limit doesn't count */
    turn.claims_max = 1;
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 1);
    turn.generations_max = 6;
    trial_sql(trial, "SELECT pg_advisory_unlock(7264930517)");
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.claimed_len, 1);
    assert_false(result.generations_busy);
}

/** The count reads the fleet's rows; a save that rode in its transaction would
 * come to light only after it. */
TEST(claim__that_counts__comes_after_the_saves_commit)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 2);
    struct task_row row = trial_claim_one(trial, me);
    row.state = RUNNING;
    row.version++;
    const struct task_row *rows[] = {&row};
    const struct turn turn = {.owner = me,
                              .saves = rows,
                              .saves_len = 1,
                              .claims_max = 1,
                              .generations_max = 6};
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.saves[0], SAVE_DONE);
    assert_int_equal(result.claimed_len, 1);
    assert_int_equal(
        trial_number(trial, "SELECT count(DISTINCT xmin::text) FROM task"), 2);
}

/* ---- saves ---- */

TEST(save__the_next_version__is_stored_whole)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = READY;
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "task_1");
    row.submitted_ms = 11;
    row.generated_ms = 12;
    row.deadline_ms = 13;
    row.has_cost = true;
    row.cost = 0.1;
    row.credits_cost = 2.5;
    row.late = true;
    row.kind = FAILURE_TIMED_OUT;
    row.result = (char *)"[{\"url\":\"https://h/\\\"x\\\\,{y}\"}]";
    row.event = (char *)"line\none\ttab \xc3\xa9";
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    struct turn_result result = trial_good_turn(
        trial,
        (struct turn){.owner = me, .rereads = &row.id, .rereads_len = 1});
    assert_int_equal(result.rereads_len, 1);
    struct task_row back = result.rereads[0].row;
    assert_string_equal(back.result, row.result);
    assert_string_equal(back.event, row.event);
    assert_true(back.cost == row.cost && back.credits_cost == row.credits_cost);
    back.result = row.result;
    back.event = row.event;
    assert_string_equal(back.account, row.account);
    assert_string_equal(back.provider_task_id, row.provider_task_id);
    assert_int_equal(back.version, 2);
    assert_int_equal(back.fence, 1);
    assert_int_equal(back.state, READY);
    assert_int_equal(back.kind, FAILURE_TIMED_OUT);
    assert_true(back.late && back.has_cost);
    assert_int_equal(back.submitted_ms, 11);
    assert_int_equal(back.generated_ms, 12);
    assert_int_equal(back.deadline_ms, 13);
}

TEST(save__another_fence_or_version__is_fenced)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = RUNNING;
    struct task_row other = row;
    other.fence--;
    assert_int_equal(trial_save(trial, me, &other), SAVE_FENCED);
    other = row;
    other.version++;
    assert_int_equal(trial_save(trial, me, &other), SAVE_FENCED);
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    row.version--;
    assert_int_equal(trial_save(trial, me, &row), SAVE_FENCED);
}

TEST(save__an_id_that_was_learnt__is_not_lost)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    trial_sql(trial, "UPDATE task SET provider_task_id = 'task_1'");
    row.state = FAILED;
    row.kind = FAILURE_SUBMIT_UNKNOWN;
    row.version++;
    const struct task_row *rows[] = {&row};
    struct turn turn = {.owner = me, .saves = rows, .saves_len = 1};
    assert_int_equal(trial_good_turn(trial, turn).saves[0], SAVE_FENCED);
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "task_1");
    assert_int_equal(trial_good_turn(trial, turn).saves[0], SAVE_DONE);
}

TEST(save__queued_again__waits_with_its_priority)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct intake_row request = trial_request(trial, 0);
    request.priority = 7;
    trial_intake(trial, &request, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = QUEUED;
    row.not_before_ms = TRIAL_NOW + 5000;
    row.tries = 1;
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    assert_string_equal(
        trial_sql(trial, "SELECT concat_ws(' ', priority, not_before_ms, "
                         "tries, fence, version, account) FROM waiting"),
        "7 1800000005000 1 1 2 " TRIAL_ACCOUNT);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 0);
    struct turn_result result = trial_good_turn(
        trial, (struct turn){
                   .owner = me, .claims_max = 1, .now_ms = TRIAL_NOW + 5000});
    assert_int_equal(result.claimed_len, 1);
    assert_int_equal(result.claimed[0].row.fence, 2);
    assert_int_equal(result.claimed[0].row.version, 3);
    assert_int_equal(result.claimed[0].row.tries, 1);
}

/** All of a final end is in closed at once; its bare key is told, by whoever.
 */
TEST(end__a_final_one__leaves_a_bare_key)
{
    struct trial *trial = *state;
    int64_t dead = trial_join(trial);
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, dead);
    row.state = READY;
    row.result = (char *)"[]";
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "task_1");
    assert_int_equal(trial_save(trial, dead, &row), SAVE_DONE);
    row.state = SUCCEEDED;
    row.settled_ms = 77;
    row.event = (char *)"the event";
    struct task_row stranger = row;
    stranger.fence++;
    assert_int_equal(trial_save(trial, dead, &stranger), SAVE_FENCED);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM closed"), 0);
    assert_int_equal(trial_save(trial, dead, &row), SAVE_DONE);
    assert_string_equal(
        trial_sql(trial, "SELECT concat_ws(' ', state, kind, event, fence, "
                         "version, provider_task_id) FROM closed"),
        "7 0 the event 1 3 task_1");
    assert_string_equal(trial_sql(trial,
                                  "SELECT concat_ws(' ', state, owner = %lld, "
                                  "event IS NULL, result IS NULL) FROM task",
                                  (long long)dead),
                        "4 t t t");
    struct turn_result result = trial_good_turn(
        trial,
        (struct turn){
            .owner = dead, .mine = true, .rereads = &row.id, .rereads_len = 1});
    assert_string_equal(result.mine[0].row.event, "the event");
    assert_string_equal(result.rereads[0].row.event, "the event");
    /* It is not ordered again before it is told, nor told by the former. */
    const char *const params[] = {
        arena_printf(&trial->arena, "%lld", (long long)row.id), "0"};
    PGresult *retry = PQexecParams(trial->conn, pg_sql("query", "ctl_retry"), 2,
                                   NULL, params, NULL, NULL, 0);
    assert_int_equal(PQntuples(retry), 0);
    PQclear(retry);
    trial_bury(trial, dead);
    result =
        trial_good_turn(trial, (struct turn){.owner = me, .adopts_max = 5});
    assert_int_equal(result.adopted_len, 1);
    struct task_row adopted = result.adopted[0].row;
    assert_string_equal(adopted.event, "the event");
    assert_int_equal(adopted.settled_ms, 77);
    row.state = CLOSED;
    assert_int_equal(trial_save(trial, dead, &row), SAVE_FENCED);
    adopted.state = CLOSED;
    assert_int_equal(trial_save(trial, me, &adopted), SAVE_DONE);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 0);
    /* The fence that it had last is kept. */
    retry = PQexecParams(trial->conn, pg_sql("query", "ctl_retry"), 2, NULL,
                         params, NULL, NULL, 0);
    assert_int_equal(PQntuples(retry), 1);
    PQclear(retry);
    assert_int_equal(trial_number(trial, "SELECT fence FROM waiting"),
                     adopted.fence + 1);
}

TEST(close__a_told_row__moves)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = FAILED;
    row.kind = FAILURE_SUBMIT_UNKNOWN;
    row.event = (char *)"the event";
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    struct task_row other = row;
    other.state = CLOSED;
    snprintf(other.provider_task_id, sizeof other.provider_task_id, "task_9");
    assert_int_equal(trial_save(trial, me, &other), SAVE_FENCED);
    row.state = CLOSED;
    row.event = NULL;
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    assert_string_equal(
        trial_sql(trial,
                  "SELECT state || ' ' || kind || ' ' || event || ' ' || "
                  "version FROM closed WHERE closed_ms > 0"),
        "7 7 the event 3");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 0);
    struct turn_result result = trial_good_turn(
        trial,
        (struct turn){.owner = me, .rereads = &row.id, .rereads_len = 1});
    assert_int_equal(result.rereads_len, 0);
}

TEST(save__refused_data__harms_nobody_else)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 8);
    struct turn_result claimed =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 7});
    struct task_row rows[7];
    const struct task_row *saves[7];
    for (size_t i = 0; i < 7; i++) {
        rows[i] = claimed.claimed[i].row;
        rows[i].state = i == 6 ? CLOSED : RUNNING;
        rows[i].kind = i == 6 ? FAILURE_TIMED_OUT : FAILURE_NONE;
        rows[i].version++;
        saves[i] = &rows[i];
    }
    rows[2].result = (char *)"not UTF-8: \xff";
    rows[5].result = (char *)"\xc0\x80";
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me,
                                             .saves = saves,
                                             .saves_len = 7,
                                             .claims_max = 5,
                                             .rereads = &rows[0].id,
                                             .rereads_len = 1});
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(result.saves[i],
                         i == 2 || i == 5 ? SAVE_POISON : SAVE_DONE);
    }
    assert_int_equal(result.claimed_len, 1);
    assert_int_equal(result.rereads_len, 1);
    assert_int_equal(result.rereads[0].row.state, RUNNING);
}

TEST(save__kept_out_by_a_constraint__is_for_later)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 5);
    struct turn_result claimed =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 5});
    struct task_row rows[5];
    const struct task_row *saves[5];
    for (size_t i = 0; i < 5; i++) {
        rows[i] = claimed.claimed[i].row;
        rows[i].state = i < 3 ? CLOSED : RUNNING;
        rows[i].kind = i < 3 ? FAILURE_TIMED_OUT : FAILURE_NONE;
        rows[i].version++;
        saves[i] = &rows[i];
    }
    trial_sql(trial, "INSERT INTO closed SELECT * FROM task WHERE id = %lld",
              (long long)rows[1].id);
    const struct turn turn = {.owner = me, .saves = saves, .saves_len = 5};
    struct turn_result result = trial_good_turn(trial, turn);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(result.saves[i], i == 1 ? SAVE_LATER : SAVE_DONE);
    }
    trial_sql(trial, "DELETE FROM closed WHERE id = %lld",
              (long long)rows[1].id);
    assert_int_equal(trial_good_turn(trial, turn).saves[1], SAVE_DONE);
    assert_int_equal(trial->downs, 0);
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
    /* Nobody knows whether it was this account that it was sent to, nor of one
     * that came only since then. */
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 0);
    trial_sql(trial,
              "INSERT INTO account VALUES ('" TRIAL_ACCOUNT
              "', 1, 6000, 0, %lld)",
              (long long)TRIAL_NOW + 1);
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 0);
    trial_sql(trial, "UPDATE account SET since_ms = 5");
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
    trial_sql(trial, "INSERT INTO account VALUES ('" TRIAL_ACCOUNT
                     "', 1, 6000, 0, 5)");
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

/* ---- expire, adopt, mine ---- */

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
    struct turn turn = {.owner = me, .adopts_max = 10};
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

static struct told unreadable_part(struct trial *trial, int64_t owner,
                                   int64_t after, int part_max)
{
    struct told told = {.trial = trial};
    store_unreadable(trial->store, owner, after, part_max, 5, on_unreadable,
                     &told);
    trial_wait(trial);
    return told;
}

static struct told unreadable(struct trial *trial, int64_t owner)
{
    return unreadable_part(trial, owner, 0, 100);
}

/** What a claim or an expiry can't read leaves the queue as it is, and a
 * program that can takes it over. */
TEST(unreadable_rows__in_the_queue__are_left_aside_whole)
{
    static const char *const breaks[] = {
        "UPDATE waiting SET account = repeat('x', 34) WHERE id IN (1, 2, 7)",
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
    struct turn all = {
        .owner = me, .claims_max = 8, .expires_max = 8, .adopts_max = 8};
    struct turn_result result = trial_good_turn(trial, all);
    assert_int_equal(result.claimed_len, 1);
    assert_int_equal(result.claimed[0].row.id, 6);
    assert_int_equal(result.expired_len, 0);
    assert_int_equal(result.adopted_len, 0);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM waiting"), 0);
    assert_string_equal(
        trial_sql(trial, "SELECT concat_ws(' ', state, owner, fence, version, "
                         "length(account)) FROM task WHERE id = 1"),
        "0 0 7 8 34");
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
        "UPDATE task SET kind = 11 WHERE id = 2",
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
        told = unreadable_part(trial, me, told.last, 3);
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

/* ---- reasons ---- */

static struct reason_row reason_for(const struct task_row *row)
{
    return (struct reason_row){
        .task = row->id,
        .fence = row->fence,
        .state = row->state,
        .word = "fetch_failed",
        .since_ms = 11,
        .tries = 3,
        .answer = "HTTP 503: \"quoted\", {braces}, \\ and \xe8\xa7\x86",
        .next_ms = 12,
    };
}

static int64_t reasons(struct trial *trial)
{
    return trial_number(trial, "SELECT count(*) FROM reason");
}

TEST(reasons__of_ours__are_written_changed_and_taken_away)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    struct reason_row reason = reason_for(&row);
    const struct turn set = {.owner = me, .reasons = &reason, .reasons_len = 1};
    trial_good_turn(trial, set);
    assert_string_equal(trial_sql(trial, "SELECT answer FROM reason"),
                        reason.answer);
    reason.tries = 4;
    reason.word = "fetch_refused";
    trial_good_turn(trial, set);
    assert_string_equal(
        trial_sql(trial,
                  "SELECT concat_ws(' ', task = %lld, fence, state, "
                  "word, since_ms, tries, next_ms) FROM reason",
                  (long long)row.id),
        "t 1 1 fetch_refused 11 4 12");
    const struct turn gone = {
        .owner = me, .reasons_gone = &reason, .reasons_gone_len = 1};
    reason.fence--;
    trial_good_turn(trial, gone); /* a former owner's word */
    assert_int_equal(reasons(trial), 1);
    reason.fence++;
    trial_good_turn(trial, gone);
    assert_int_equal(reasons(trial), 0);
}

TEST(reasons__of_what_is_not_ours__are_passed_by)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    struct reason_row reason = reason_for(&row);
    struct turn turn = {.owner = other, .reasons = &reason, .reasons_len = 1};
    trial_good_turn(trial, turn);
    turn.owner = me;
    reason.fence++;
    trial_good_turn(trial, turn);
    reason.fence--;
    reason.state = RUNNING;
    trial_good_turn(trial, turn);
    assert_int_equal(reasons(trial), 0);
}

TEST(reasons__that_are_shared__are_all_there_are)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    const struct reason_row two[] = {
        {.word = "throttle", .since_ms = 1, .tries = 2, .answer = "HTTP 429"},
        {.word = "many", .since_ms = 3, .tries = 4, .answer = "x"},
    };
    struct turn turn = {
        .owner = me, .shared = two, .shared_len = 2, .shared_changed = true};
    trial_good_turn(trial, turn);
    trial_good_turn(trial, turn);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM shared_reason"),
                     2);
    turn.shared_len = 1;
    trial_good_turn(trial, turn);
    assert_string_equal(trial_sql(trial, "SELECT concat(word, tries, answer) "
                                         "FROM shared_reason"),
                        "throttle2HTTP 429");
    turn.shared_len = 0;
    trial_good_turn(trial, turn);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM shared_reason"),
                     0);
}

static void sweep(struct trial *trial)
{
    struct trial_answer answer = {.trial = trial};
    store_reasons_sweep(trial->store, trial_on_done, &answer);
    trial_wait(trial);
    assert_int_equal(answer.err.kind, ERR_NONE);
}

TEST(reasons__that_hold_no_longer__are_swept)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    struct reason_row reason = reason_for(&row);
    const struct reason_row many = {.word = "many", .answer = ""};
    trial_good_turn(trial, (struct turn){.owner = me,
                                         .reasons = &reason,
                                         .reasons_len = 1,
                                         .shared = &many,
                                         .shared_len = 1,
                                         .shared_changed = true});
    sweep(trial);
    assert_int_equal(reasons(trial), 1);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM shared_reason"),
                     1);
    trial_bury(trial, me);
    sweep(trial);
    assert_int_equal(reasons(trial), 1); /* still true of the row */
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM shared_reason"),
                     0);
    int64_t next = trial_join(trial);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = next, .adopts_max = 1});
    assert_int_equal(result.adopted_len, 1);
    sweep(trial);
    assert_int_equal(reasons(trial), 0);
}

TEST(adopt__who_had_them__is_told)
{
    struct trial *trial = *state;
    int64_t dead = trial_join(trial);
    trial_requests(trial, 2);
    trial_good_turn(trial, (struct turn){.owner = dead, .claims_max = 2});
    trial_bury(trial, dead);
    trial_sql(trial, "UPDATE task SET owner = 0 WHERE id = 1");
    int64_t me = trial_join(trial);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .adopts_max = 5});
    assert_int_equal(result.adopted_len, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(result.adopted[i].orphan,
                         result.adopted[i].row.id != 1);
    }
}

TEST(join__the_admin_address__is_in_the_lease)
{
    struct trial *trial = *state;
    (void)trial_join(trial);
    assert_string_equal(trial_sql(trial, "SELECT admin FROM lease"),
                        "192.0.2.7:9464");
}

TESTS_RUN(NULL, NULL)
