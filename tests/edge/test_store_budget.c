#include "edge/store_trial.h"

#include "core/spending.h"
#include "edge/pg/pg.h"

/* Budgets: what claims let through, and how the money moves with the rows. */

#undef TEST
#define TEST(name) TEST_CASE_WITH(name, trial_setup_in_a_day, trial_teardown)
#define PRICE INT64_C(400000)

static void ask_for(struct trial *trial, int from, int len, const char *tenant)
{
    struct intake_row rows[64];
    assert_true(len <= 64);
    for (int i = 0; i < len; i++) {
        rows[i] = trial_request(trial, from + i);
        rows[i].tenant = str_of(tenant);
        rows[i].price = PRICE;
    }
    assert_int_equal(trial_intake(trial, rows, (size_t)len).err.kind, ERR_NONE);
}

static void budget(struct trial *trial, const char *tenant, int period,
                   int64_t amount)
{
    trial_sql(trial,
              "INSERT INTO budget VALUES ('%s', %d, %lld, 80, 700000) ON "
              "CONFLICT (tenant, period) DO UPDATE SET amount = "
              "excluded.amount",
              tenant, period, (long long)amount);
}

static int64_t now_ms(struct trial *trial)
{
    return trial_number(trial,
                        "SELECT floor(extract(epoch FROM clock_timestamp()) * "
                        "1000)::bigint");
}

static struct turn_result claim_at(struct trial *trial, int64_t owner, int most,
                                   int64_t ms)
{
    return trial_good_turn(trial, (struct turn){.owner = owner,
                                                .claims_max = most,
                                                .now_ms = ms,
                                                .budgets = true});
}

static struct turn_result claim(struct trial *trial, int64_t owner, int most)
{
    return claim_at(trial, owner, most, now_ms(trial));
}

/** "tenant=claimed/aside" of each. */
static const char *queue(struct trial *trial)
{
    return trial_sql(
        trial,
        "SELECT string_agg(format('%%s=%%s/%%s', tenant, claimed, aside), ' ' "
        "ORDER BY tenant) FROM (SELECT r.tenant, count(t.id) AS claimed, "
        "count(w.budget) AS aside FROM request r LEFT JOIN task t ON t.id = "
        "r.id LEFT JOIN waiting w ON w.id = r.id GROUP BY r.tenant) x");
}

static void on_budgets(void *context, const struct budget_row *rows, size_t len,
                       const struct err *err)
{
    struct trial_answer *answer = context;
    (void)rows;
    answer->id = (int64_t)len;
    trial_take_err(answer, err);
}

static int64_t look(struct trial *trial)
{
    struct trial_answer answer = {.trial = trial};
    store_budgets(trial->store, on_budgets, &answer);
    trial_await(&answer);
    assert_string_equal(answer.err.text, "");
    return answer.id;
}

/** "state:n:amount" of the money there is, and what is in the sums. */
static const char *money_is(struct trial *trial)
{
    return trial_sql(
        trial,
        "SELECT concat((SELECT string_agg(concat_ws(':', state, n, amount), "
        "' ' ORDER BY state) FROM (SELECT state, count(*) AS n, sum(amount) AS "
        "amount FROM money GROUP BY state) m), ' | ', (SELECT "
        "string_agg(concat_ws(':', tenant, period, amount), ' ' ORDER BY "
        "tenant, period) FROM spent))");
}

TEST(claim__a_budget__lets_through_what_it_has_room_for)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    ask_for(trial, 0, 5, "acme");
    ask_for(trial, 10, 3, "other");
    budget(trial, "acme", 0, 1000000);
    struct turn_result result = claim(trial, me, 6);
    assert_int_equal(result.claimed_len, 3);
    assert_true(result.budget_barred && !result.budget_busy);
    assert_string_equal(queue(trial), "acme=2/3 other=1/0");
    result = claim(trial, me, 6);
    assert_int_equal(result.claimed_len, 2);
    assert_false(result.budget_barred);
    assert_string_equal(queue(trial), "acme=2/3 other=3/0");
    assert_string_equal(money_is(trial), "1:2:800000 | ");
    /* Another day has room of its own. */
    ask_for(trial, 20, 1, "acme");
    result = claim_at(trial, me, 6, now_ms(trial) + INT64_C(86400000));
    assert_int_equal(result.claimed_len, 1);
    assert_string_equal(queue(trial), "acme=3/3 other=3/0");
}

TEST(claim__a_month__is_as_long_as_it_is)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    const int64_t first = INT64_C(1798761600000); /* 2027-01-01 */
    ask_for(trial, 0, 5, "acme");
    budget(trial, "acme", 1, 2 * PRICE);
    assert_int_equal(claim_at(trial, me, 1, first).claimed_len, 1);
    const int64_t last = first + INT64_C(31) * 86400000 - 1;
    assert_int_equal(claim_at(trial, me, 9, last).claimed_len, 1);
    trial_sql(trial, "UPDATE waiting SET budget = NULL");
    assert_int_equal(claim_at(trial, me, 9, last).claimed_len, 0);
    trial_sql(trial, "UPDATE waiting SET budget = NULL");
    assert_int_equal(claim_at(trial, me, 9, last + 1).claimed_len, 2);
}

TEST(claim__everybodys_budget__is_the_sum_of_all)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    ask_for(trial, 0, 4, "a");
    ask_for(trial, 10, 4, "b");
    budget(trial, "*", 0, 5 * PRICE);
    budget(trial, "a", 0, 2 * PRICE);
    assert_int_equal(claim(trial, me, 8).claimed_len, 5);
    assert_string_equal(queue(trial), "a=2/2 b=3/1");
}

TEST(claim__who_knows_of_no_budget_or_comes_second__leaves_them_alone)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    trial_sql(trial, "INSERT INTO tenant VALUES ('acme', 1, NULL)");
    ask_for(trial, 0, 2, "acme");
    ask_for(trial, 10, 1, "other");
    budget(trial, "acme", 0, 100 * PRICE);
    const struct share_ask asks[] = {{"acme", 5}, {"other", 5}};
    struct turn unaware = {
        .owner = me, .claims_max = 9, .shares = asks, .shares_len = 2};
    assert_int_equal(trial_good_turn(trial, unaware).claimed_len, 0);
    unaware.sharing = true;
    assert_int_equal(trial_good_turn(trial, unaware).claimed_len, 0);
    PQclear(PQexec(trial->conn, "BEGIN"));
    trial_sql(trial, "SELECT pg_advisory_xact_lock(7264930520)");
    struct turn_result result = claim(trial, me, 9);
    assert_int_equal(result.claimed_len, 1);
    assert_true(result.budget_busy && !result.budget_barred);
    PQclear(PQexec(trial->conn, "ROLLBACK"));
    assert_string_equal(queue(trial), "acme=0/0 other=1/0");
    unaware.budgets = true;
    assert_int_equal(trial_good_turn(trial, unaware).claimed_len, 2);
}

/** Nobody knows yet what was bought before it was set. */
TEST(claim__a_budget_that_is_not_counted_yet__lets_nothing_through)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    ask_for(trial, 0, 1, "acme");
    ask_for(trial, 10, 1, "other");
    budget(trial, "acme", 0, 100 * PRICE);
    trial_sql(trial, "UPDATE budget SET counted = false");
    assert_int_equal(claim(trial, me, 9).claimed_len, 1);
    assert_string_equal(queue(trial), "acme=0/1 other=1/0");
    assert_int_equal(look(trial), 1);
    assert_string_equal(queue(trial), "acme=0/1 other=1/0");
    trial_sql(trial, "UPDATE budget SET counted = true");
    assert_int_equal(look(trial), 1);
    assert_int_equal(claim(trial, me, 9).claimed_len, 1);
}

/** It goes before all that stands behind it, whatever those cost. */
TEST(claim__one_that_costs_too_much__is_passed_by_by_nobody)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    struct intake_row dear = trial_request(trial, 0);
    dear.price = 3 * PRICE;
    assert_int_equal(trial_intake(trial, &dear, 1).err.kind, ERR_NONE);
    struct intake_row unknown = trial_request(trial, 1); /* counts as 700000 */
    assert_int_equal(trial_intake(trial, &unknown, 1).err.kind, ERR_NONE);
    ask_for(trial, 10, 1, "default");
    budget(trial, "default", 0, 2 * PRICE);
    assert_int_equal(claim(trial, me, 9).claimed_len, 0);
    assert_string_equal(queue(trial), "default=0/3");
    budget(trial, "default", 0, 3 * PRICE + 700000);
    assert_int_equal(look(trial), 1);
    assert_string_equal(queue(trial), "default=0/1");
    assert_int_equal(claim(trial, me, 9).claimed_len, 2);
}

static struct task_row saved(struct trial *trial, int64_t owner,
                             struct task_row row)
{
    row.version++;
    const struct task_row *rows[] = {&row};
    const struct turn_result result = trial_good_turn(
        trial,
        (struct turn){
            .owner = owner, .saves = rows, .saves_len = 1, .budgets = true});
    assert_int_equal(result.saves[0], SAVE_DONE);
    return row;
}

TEST(money__moves_in_the_transaction_that_moves_the_row)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    ask_for(trial, 0, 4, "acme");
    budget(trial, "acme", 0, 4 * PRICE);
    const struct turn_result claimed = claim(trial, me, 9);
    assert_int_equal(claimed.claimed_len, 4);
    struct task_row rows[4];
    for (int i = 0; i < 4; i++) {
        rows[i] = claimed.claimed[i].row;
    }
    /* back into the queue: released */
    rows[0].state = QUEUED;
    rows[0].owner = 0;
    saved(trial, me, rows[0]);
    assert_string_equal(money_is(trial), "0:1:0 1:3:1200000 | ");
    /* told as timed out, late then, given up: doubtful, then assumed */
    rows[1].state = FAILED;
    rows[1].kind = FAILURE_TIMED_OUT;
    rows[1].billed_open = true;
    rows[1].event = (char *)"{}";
    snprintf(rows[1].provider_task_id, sizeof rows[1].provider_task_id, "t1");
    rows[1] = saved(trial, me, rows[1]);
    assert_string_equal(money_is(trial), "0:1:0 1:2:800000 2:1:400000 | ");
    rows[1].state = LATE;
    rows[1].late = true;
    rows[1] = saved(trial, me, rows[1]);
    rows[1].state = CLOSED;
    rows[1] = saved(trial, me, rows[1]);
    assert_string_equal(money_is(trial), "0:1:0 1:2:800000 4:1:400000 | ");
    /* completed at another cost than the estimate */
    rows[2].state = SUCCEEDED;
    rows[2].has_cost = true;
    rows[2].cost = 0.55;
    rows[2].event = (char *)"{}";
    snprintf(rows[2].provider_task_id, sizeof rows[2].provider_task_id, "t2");
    rows[2] = saved(trial, me, rows[2]);
    assert_string_equal(money_is(trial),
                        "0:1:0 1:1:400000 3:1:550000 4:1:400000 | ");
    /* refused: nothing was bought */
    rows[3].state = FAILED;
    rows[3].kind = FAILURE_SUBMIT_REFUSED;
    rows[3].event = (char *)"{}";
    saved(trial, me, rows[3]);
    assert_string_equal(money_is(trial), "0:2:0 3:1:550000 4:1:400000 | ");
    assert_int_equal(look(trial), 1);
    assert_string_equal(money_is(trial),
                        "4:1:400000 | *:0:550000 *:1:550000 acme:0:550000 "
                        "acme:1:550000");
    /* 1.6 less 0.95: room for the one that went back, and no more */
    ask_for(trial, 20, 1, "acme");
    assert_int_equal(claim(trial, me, 9).claimed_len, 1);
    assert_string_equal(queue(trial), "acme=3/1"); /* two bare keys */
}

TEST(money__what_nobody_moved__is_found_by_the_next_look)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    ask_for(trial, 0, 2, "acme");
    budget(trial, "acme", 0, 4 * PRICE);
    const struct turn_result claimed = claim(trial, me, 9);
    assert_int_equal(claimed.claimed_len, 2);
    struct task_row row = claimed.claimed[0].row;
    row.state = QUEUED;
    row.owner = 0;
    /* by a worker that had not heard of the budget */
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    trial_sql(trial, "UPDATE task SET doubt = true");
    assert_string_equal(money_is(trial), "1:2:800000 | ");
    look(trial);
    assert_string_equal(money_is(trial), "2:1:400000 | ");
}

/** Every row that can be: as the core has it. */
TEST(spending__every_kind_of_row__as_the_core_says)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    ask_for(trial, 0, 1, "acme");
    budget(trial, "acme", 0, 4 * PRICE);
    const struct turn_result claimed = claim(trial, me, 9);
    struct task_row row = claimed.claimed[0].row;
    trial_sql(trial, "CREATE TABLE each AS SELECT * FROM closed");
    for (int s = SUBMITTING; s <= CLOSED; s++) {
        for (int bits = 0; bits < FAILURE_KINDS_LEN * 16; bits++) {
            row.state = (enum task_state)s;
            row.kind = (enum failure_kind)(bits / 16);
            row.doubt = bits & 1;
            row.late = bits & 2;
            row.has_cost = bits & 4;
            row.cost = 0.1;
            row.provider_task_id[0] = bits & 8 ? 't' : '\0';
            row.provider_task_id[1] = '\0';
            const bool ends = s == SUCCEEDED || s == FAILED;
            if (ends && task_end_is_final(&row)) {
                continue; /* a bare key: its row is in closed */
            }
            trial_sql(trial,
                      "UPDATE task SET state = %d, kind = %d, doubt = %s, "
                      "late = %s, has_cost = %s, cost = 0.1, "
                      "provider_task_id = '%s', event = 'e'",
                      s, row.kind, row.doubt ? "true" : "false",
                      row.late ? "true" : "false",
                      row.has_cost ? "true" : "false", row.provider_task_id);
            trial_sql(trial, "UPDATE money SET state = 1, amount = estimate");
            look(trial);
            const int64_t amount = spending_amount(&row, PRICE);
            const enum spending spending = spending_of(&row);
            const bool settled =
                spending == SPENDING_NONE || spending == SPENDING_SPENT;
            const char *found = trial_sql(
                trial, "SELECT coalesce((SELECT concat_ws(':', state, amount) "
                       "FROM money), 'sum:' || coalesce((SELECT sum(amount) "
                       "FROM spent WHERE tenant = 'acme' AND period = 0), 0))");
            const char *wanted =
                settled
                    ? arena_printf(&trial->arena, "sum:%lld", (long long)amount)
                    : arena_printf(&trial->arena, "%d:%lld", (int)spending,
                                   (long long)amount);
            if (strcmp(found, wanted) != 0) {
                fail_msg("state %d kind %d bits %d: %s, not %s", s, row.kind,
                         bits % 16, found, wanted);
            }
            if (settled) {
                trial_sql(trial,
                          "WITH gone AS (DELETE FROM spent) INSERT INTO money "
                          "SELECT id, submission, 'acme', floor(extract(epoch "
                          "FROM clock_timestamp()) / 86400), 1, %lld, %lld "
                          "FROM task",
                          (long long)PRICE, (long long)PRICE);
            }
        }
    }
}

/* ---- a request that is submitted more than once ---- */

/** The provider had no room for it: nothing is reserved while it waits, and the
 * next attempt reserves in the same place. */
TEST(money__another_attempt__is_reserved_once)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    ask_for(trial, 0, 2, "acme");
    budget(trial, "acme", 0, PRICE);
    struct task_row row = claim(trial, me, 9).claimed[0].row;
    assert_string_equal(queue(trial), "acme=1/1");
    for (int i = 1; i <= 2; i++) {
        row.state = RUNNING;
        snprintf(row.provider_task_id, sizeof row.provider_task_id, "t%d", i);
        row = saved(trial, me, row);
        assert_string_equal(money_is(trial), "1:1:400000 | ");
        row.state = QUEUED;
        row.attempt = i;
        row.has_cost = true; /* 0 */
        saved(trial, me, row);
        assert_string_equal(money_is(trial), "0:1:0 | ");
        row = claim(trial, me, 9).claimed[0].row;
        assert_int_equal(row.attempt, i);
        assert_string_equal(money_is(trial), "1:1:400000 | ");
        look(trial); /* that of the attempt before is no end */
        assert_string_equal(money_is(trial), "1:1:400000 | ");
        assert_string_equal(queue(trial), "acme=1/1");
    }
    row.state = SUCCEEDED;
    row.has_cost = true;
    row.cost = 0.3;
    row.event = (char *)"{}";
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "t3");
    saved(trial, me, row);
    look(trial);
    assert_string_equal(money_is(trial),
                        " | *:0:300000 *:1:300000 acme:0:300000 acme:1:300000");
    assert_int_equal(claim(trial, me, 9).claimed_len, 0); /* 0.1 is left */
}

/** An operator's: money of its own beside that of the one before, whose cost
 * nobody knows. */
TEST(money__a_retry__is_reserved_anew)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    ask_for(trial, 0, 1, "acme");
    budget(trial, "acme", 0, 2 * PRICE - 1);
    struct task_row row = claim(trial, me, 9).claimed[0].row;
    row.state = FAILED;
    row.kind = FAILURE_SUBMIT_UNKNOWN;
    row.event = (char *)"{}";
    row = saved(trial, me, row);
    row.state = CLOSED;
    saved(trial, me, row);
    assert_string_equal(money_is(trial), "4:1:400000 | ");
    const char *const params[] = {
        arena_printf(&trial->arena, "%lld", (long long)row.id), "0"};
    PGresult *retry = PQexecParams(trial->conn, pg_sql("query", "ctl_retry"), 2,
                                   NULL, params, NULL, NULL, 0);
    assert_int_equal(PQntuples(retry), 1);
    PQclear(retry);
    assert_int_equal(claim(trial, me, 9).claimed_len, 0);
    budget(trial, "acme", 0, 2 * PRICE);
    look(trial);
    assert_string_equal(money_is(trial), "4:1:400000 | ");
    row = claim(trial, me, 9).claimed[0].row;
    assert_int_equal(row.submission, 1);
    assert_string_equal(money_is(trial), "1:1:400000 4:1:400000 | ");
    look(trial);
    assert_string_equal(money_is(trial), "1:1:400000 4:1:400000 | ");
    row.state = SUCCEEDED;
    row.has_cost = true;
    row.cost = 0.4;
    row.event = (char *)"{}";
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "t1");
    saved(trial, me, row);
    look(trial);
    assert_string_equal(
        money_is(trial),
        "4:1:400000 | *:0:400000 *:1:400000 acme:0:400000 acme:1:400000");
}

/** What waits in doubt may have been bought: that counts, and its own claim
 * does not find it in its way. */
TEST(money__of_what_waits_in_doubt__counts_once)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    ask_for(trial, 0, 1, "acme");
    budget(trial, "acme", 0, PRICE);
    struct task_row row = claim(trial, me, 9).claimed[0].row;
    row.state = QUEUED;
    row.doubt = true;
    saved(trial, me, row);
    assert_string_equal(money_is(trial), "2:1:400000 | ");
    ask_for(trial, 10, 1, "acme");
    trial_sql(trial, "UPDATE meta SET rewound_ms = 9e15");
    const struct turn_result result = claim(trial, me, 9);
    assert_int_equal(result.claimed_len, 1);
    assert_int_equal(result.claimed[0].row.id, row.id);
    assert_string_equal(queue(trial), "acme=1/1");
    assert_string_equal(money_is(trial), "2:1:400000 | ");
}

/* ---- with shares ---- */

static struct turn_result claim_share(struct trial *trial, int64_t owner,
                                      const struct share_ask *asks, size_t len)
{
    return trial_good_turn(trial, (struct turn){.owner = owner,
                                                .claims_max = 20,
                                                .now_ms = now_ms(trial),
                                                .sharing = true,
                                                .shares = asks,
                                                .shares_len = len,
                                                .budgets = true});
}

/** Whoever else claims by shares, orders or migrates meanwhile. */
TEST(claim_share__a_budget__holds_and_is_in_nobodys_way)
{
    static const struct share_ask asks[] = {{"acme", 4}, {"other", 4}};
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    trial_sql(trial, "INSERT INTO tenant VALUES ('acme', 2, NULL)");
    ask_for(trial, 0, 5, "acme");
    ask_for(trial, 10, 2, "other");
    budget(trial, "acme", 0, 3 * PRICE);
    budget(trial, "*", 1, 6 * PRICE);
    trial_sql(trial, "SELECT pg_advisory_lock_shared(7264930519)");
    trial_sql(trial, "SELECT pg_advisory_lock(7264930522)");
    PQclear(PQexec(trial->conn, pg_sql("query", "ctl_order_lock")));
    struct turn_result result = claim_share(trial, me, asks, 2);
    assert_int_equal(result.claimed_len, 5);
    assert_true(result.budget_barred && !result.budget_busy);
    assert_string_equal(queue(trial), "acme=3/2 other=2/0");
    assert_string_equal(money_is(trial), "1:5:2000000 | ");
    budget(trial, "acme", 0, 5 * PRICE);
    look(trial); /* one more is within everybody's */
    assert_string_equal(queue(trial), "acme=3/1 other=2/0");
    trial_sql(trial, "SELECT pg_advisory_unlock_all()");
    trial_sql(trial, "BEGIN");
    PQclear(PQexec(trial->conn, pg_sql("query", "budget_lock")));
    result = claim_share(trial, me, asks, 2);
    assert_true(result.budget_busy);
    assert_int_equal(result.claimed_len, 0);
    trial_sql(trial, "COMMIT");
    trial_sql(trial, "UPDATE waiting SET budget = NULL");
    assert_int_equal(claim_share(trial, me, asks, 2).claimed_len, 1);
    assert_string_equal(money_is(trial), "1:6:2400000 | ");
}

/* ---- looks ---- */

static void beat(struct trial *trial, int64_t owner)
{
    struct trial_answer answer = {.trial = trial};
    const struct beat ask = {.owner = owner};
    store_beat(trial->store, &ask, trial_on_beat, &answer);
    trial_await(&answer);
    assert_string_equal(answer.err.text, "");
}

/** Whatever a look waits for: a worker is alive by its bumps. */
TEST(look__that_waits__holds_up_no_bump)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    struct trial_answer answer = {.trial = trial, .id = -1};
    budget(trial, "acme", 0, 4 * PRICE);
    trial_sql(trial, "BEGIN");
    trial_sql(trial, "LOCK TABLE money IN ACCESS EXCLUSIVE MODE");
    store_budgets(trial->store, on_budgets, &answer);
    const int64_t until_ms = loop_boot_ms(trial->loop) + TRIAL_LIMIT_MS;
    while (trial_waiter(trial) == 0 && loop_boot_ms(trial->loop) < until_ms) {
        beat(trial, me);
    }
    assert_true(trial_waiter(trial) > 0);
    beat(trial, me);
    assert_int_equal(answer.id, -1); /* it waits still */
    trial_sql(trial, "COMMIT");
    while (answer.id < 0) {
        trial_wait(trial);
    }
    assert_int_equal(answer.id, 1);
    assert_string_equal(answer.err.text, "");
}

/** Its worker looks no more: the answer comes, and the connection goes. */
TEST(look__ended__is_answered_and_can_begin_again)
{
    struct trial *trial = *state;
    struct trial_answer answer = {.trial = trial, .id = -1};
    budget(trial, "acme", 0, 4 * PRICE);
    store_budgets(trial->store, on_budgets, &answer); /* it connects yet */
    store_budgets_end(trial->store);
    assert_int_equal(answer.err.kind, ERR_TRANSIENT);
    assert_int_equal(look(trial), 1);
    answer.err.kind = ERR_NONE;
    store_budgets(trial->store, on_budgets, &answer); /* it is asked */
    store_budgets_end(trial->store);
    assert_int_equal(answer.err.kind, ERR_TRANSIENT);
    store_budgets_end(trial->store);
    assert_int_equal(look(trial), 1);
}

/** A look takes so much at a time; the next goes on behind that. */
TEST(look__very_much_is_open__goes_on_with_the_next)
{
    struct trial *trial = *state;
    const int64_t me = trial_join(trial);
    trial_sql(trial, "SELECT setval(pg_get_serial_sequence('request', 'id'), "
                     "10000)");
    ask_for(trial, 1, 1, "acme");
    budget(trial, "acme", 1, 20000 * PRICE);
    assert_int_equal(claim(trial, me, 1).claimed_len, 1);
    trial_sql(trial, "UPDATE money SET state = 2, amount = 7");
    trial_sql(trial, "INSERT INTO money SELECT g, 0, 'acme', day, 1, 1, 1 FROM "
                     "money, generate_series(1, 5000) g");
    trial_sql(trial,
              "INSERT INTO money SELECT g, 1, 'acme', day, 0, 1, 0 FROM "
              "(SELECT day FROM money LIMIT 1) m, generate_series(1, 6000) g");
    static const char *const is[] = {
        "0:1000:0 1:5000:5000 2:1:7 | ",
        "1:5001:405000 | ",
    };
    for (size_t i = 0; i < 2; i++) {
        look(trial);
        assert_string_equal(money_is(trial), is[i]);
    }
    trial_sql(trial, "UPDATE money SET state = 2 WHERE task > 10000");
    look(trial); /* from the beginning again */
    look(trial);
    assert_string_equal(money_is(trial), is[1]);
}

TESTS_RUN(NULL, NULL)
