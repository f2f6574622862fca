#include "edge/store_trial.h"

#include "core/price.h"

/* What a request is estimated to cost: stored with it, learnt of what the like
 * did. */

struct asked {
    struct trial *trial;
    struct price_seen seen[16];
    size_t len;
    bool fine;
};

static void on_prices(void *context, const struct price_seen *seen, size_t len,
                      const struct err *err)
{
    struct asked *asked = context;
    assert_true(len <= 16);
    for (size_t i = 0; i < len; i++) {
        asked->seen[i] = seen[i];
        asked->seen[i].resolution =
            trial_copy_str(asked->trial, seen[i].resolution);
    }
    asked->len = len;
    asked->fine = !err;
    loop_stop(asked->trial->loop);
}

static struct asked prices(struct trial *trial)
{
    struct asked asked = {.trial = trial};
    store_prices(trial->store, on_prices, &asked);
    trial_wait(trial);
    assert_true(asked.fine);
    return asked;
}

TEST(intake__an_estimate__is_stored_with_the_request)
{
    struct trial *trial = *state;
    struct intake_row rows[4];
    for (int i = 0; i < 4; i++) {
        rows[i] = trial_request(trial, i);
    }
    rows[0].price = 0;
    rows[1].price = MONEY_MAX;
    rows[3].price = 350000;
    rows[3].event = STR("{}");
    assert_int_equal(trial_intake(trial, rows, 4).err.kind, ERR_NONE);
    assert_string_equal(
        trial_sql(trial, "SELECT string_agg(coalesce(price::text, 'none'), ' ' "
                         "ORDER BY request_id) FROM request"),
        "0 1000000000000000 none none");
}

/** One that came to its end. */
static void ended(struct trial *trial, int number, enum request_mode mode,
                  const char *body, const char *cost, int kind)
{
    struct intake_row row = trial_request(trial, number);
    row.mode = mode;
    row.body = str_of(body);
    assert_int_equal(trial_intake(trial, &row, 1).err.kind, ERR_NONE);
    trial_sql(
        trial,
        "WITH w AS (DELETE FROM waiting RETURNING id) INSERT INTO closed "
        "SELECT (jsonb_populate_record(NULL::closed, "
        "to_jsonb(w) || '{\"owner\":0,\"received_ms\":1,"
        "\"first_sent_ms\":1,\"last_sent_ms\":1,\"not_before_ms\":0,"
        "\"takeovers_since_ms\":0,\"cost\":%s,\"credits_cost\":0,"
        "\"fence\":1,\"attempt\":0,\"submission\":0,\"sends\":1,\"tries\":0,"
        "\"takeovers\":0,\"doubt\":false,\"late\":false,"
        "\"billed_open\":false,\"has_cost\":%s,\"account\":\"a\","
        "\"state\":7,\"kind\":%d,\"version\":1,\"deadline_ms\":1,"
        "\"submitted_ms\":1,\"generated_ms\":1,\"stored_ms\":1,"
        "\"settled_ms\":1,\"provider_task_id\":\"t\","
        "\"closed_ms\":%d}')).* FROM w",
        cost[0] ? cost : "0", cost[0] ? "true" : "false", kind, number);
}

#define PLAIN "{\"model\":\"m\",\"prompt\":\"p\"}"
/* Its prompt says what others have as fields, quotes escaped. */
#define LOUD                                                                   \
    "{\"model\":\"m\",\"prompt\":\"\\\"resolution\\\":\\\"720p\\\" "           \
    "\\\"audio\\\":true\",\"duration\":8}"
#define WHOLE                                                                  \
    "{\"prompt\":\"p\",\"resolution\":\"1080p\",\"duration\":15,"              \
    "\"audio\":true}"

TEST(prices__ends_of_late__median_of_the_like)
{
    struct trial *trial = *state;
    assert_int_equal(prices(trial).len, 0);
    ended(trial, 1, MODE_TEXT, PLAIN, "0.3", 0);
    ended(trial, 2, MODE_TEXT, PLAIN, "0.35", 0);
    ended(trial, 3, MODE_TEXT, PLAIN, "90", 0);
    ended(trial, 4, MODE_TEXT, PLAIN, "", 0);   /* its cost is not known */
    ended(trial, 5, MODE_TEXT, PLAIN, "70", 4); /* it failed */
    ended(trial, 6, MODE_TEXT, LOUD, "0.5", 0);
    ended(trial, 7, MODE_EXTEND, WHOLE, "0.123456", 0);
    const struct asked asked = prices(trial);
    assert_int_equal(asked.len, 3);
    const struct price_seen *plain = &asked.seen[0];
    assert_int_equal(plain->count, 3);
    assert_int_equal(plain->median, 350000);
    assert_null(plain->resolution.at);
    assert_int_equal(plain->duration, 0);
    assert_false(plain->audio);
    struct arena arena;
    struct prices learnt;
    arena_init(&arena, 4096, 0);
    assert_true(prices_learn(asked.seen, asked.len, &arena, &learnt));
    const struct price_like likes[] = {
        {MODE_TEXT, 540, 5, false},
        {MODE_TEXT, 540, 8, false},
        {MODE_EXTEND, 1080, 15, true},
    };
    assert_int_equal(price_of(&learnt, &likes[0]), 350000);
    assert_int_equal(price_of(&learnt, &likes[1]), 500000);
    assert_int_equal(price_of(&learnt, &likes[2]), 123456);
    arena_done(&arena);
}

TESTS_RUN(NULL, NULL)
