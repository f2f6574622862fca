#include "lib/check.h"
#include "core/price.h"

#include "base/str.h"

#include <string.h>

static struct arena arena;
static struct err err;

static bool reads(const char *text, struct prices *prices)
{
    err = (struct err){0};
    return prices_read(str_of(text), &arena, prices, &err);
}

static money of(const struct prices *prices, enum request_mode mode,
                int resolution, int duration, bool audio)
{
    const struct price_like like = {mode, resolution, duration, audio};
    return price_of(prices, &like);
}

TEST_CASE(price_of__a_table__the_first_that_fits)
{
    struct prices prices;
    arena_init(&arena, 256, 0);
    assert_true(
        reads("[{\"mode\":\"fusion\",\"resolution\":\"1080p\",\"price\":2},"
              "{\"mode\":\"fusion\",\"audio\":true,\"price\":\"1.5\"},"
              "{\"mode\":\"fusion\",\"price\":1},"
              "{\"duration\":8,\"price\":0.8},"
              "{\"price\":0.1,\"per_second\":0.05}]",
              &prices));
    assert_int_equal(of(&prices, MODE_FUSION, 1080, 5, true), 2000000);
    assert_int_equal(of(&prices, MODE_FUSION, 540, 5, true), 1500000);
    assert_int_equal(of(&prices, MODE_FUSION, 540, 5, false), 1000000);
    assert_int_equal(of(&prices, MODE_TEXT, 540, 8, false), 800000);
    assert_int_equal(of(&prices, MODE_TEXT, 540, 5, false), 350000);
    assert_int_equal(of(&prices, MODE_EXTEND, 360, 15, true), 850000);
    assert_int_equal(prices_most(&prices), 2000000);
    arena_done(&arena);
}

TEST_CASE(price_of__no_rule_fits__not_known)
{
    struct prices prices;
    arena_init(&arena, 256, 0);
    assert_true(reads("[{\"mode\":\"fusion\",\"price\":2}]", &prices));
    assert_int_equal(of(&prices, MODE_TEXT, 540, 5, false), PRICE_UNKNOWN);
    assert_true(reads("[]", &prices));
    assert_int_equal(of(&prices, MODE_FUSION, 540, 5, false), PRICE_UNKNOWN);
    assert_int_equal(prices_most(&prices), PRICE_UNKNOWN);
    arena_done(&arena);
}

TEST_CASE(prices_read__faults__named)
{
    static const struct {
        const char *text;
        const char *says;
    } odd[] = {
        {"", "is no JSON"},
        {"{\"price\":1}", "is no array of rules"},
        {"[7]", "rule 1 is no object"},
        {"[{\"price\":1},{}]", "rule 2 has no price"},
        {"[{\"mode\":\"video\",\"price\":1}]", "rule 1, mode: allowed: text_"},
        {"[{\"mode\":\"\",\"price\":1}]", "rule 1, mode"},
        {"[{\"mode\":5,\"price\":1}]", "rule 1, mode"},
        {"[{\"resolution\":720,\"price\":1}]", "rule 1, resolution"},
        {"[{\"duration\":0,\"price\":1}]", "rule 1, duration: allowed: 1..15"},
        {"[{\"duration\":16,\"price\":1}]", "rule 1, duration"},
        {"[{\"duration\":5.5,\"price\":1}]", "rule 1, duration"},
        {"[{\"audio\":1,\"price\":1}]", "rule 1, audio: allowed: true"},
        {"[{\"price\":-1}]", "rule 1, price: allowed: 0..1000000000"},
        {"[{\"price\":\"1e3\"}]", "rule 1, price"},
        {"[{\"price\":0.0000001}]", "rule 1, price"},
        {"[{\"price\":1000000001}]", "rule 1, price"},
        {"[{\"per_second\":null}]", "rule 1, per_second"},
        {"[{\"prize\":1}]", "rule 1: unknown member \"prize\""},
    };
    arena_init(&arena, 256, 0);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct prices prices = {0};
        assert_false(reads(odd[i].text, &prices));
        if (!strstr(err.text, odd[i].says)) {
            fail_msg("\"%s\" says: %s", odd[i].text, err.text);
        }
    }
    arena_done(&arena);
}

TEST_CASE(prices_learn__the_like__else_the_dearest)
{
    struct prices prices;
    const struct price_seen seen[] = {
        {MODE_TEXT, {0}, 0, false, 350000, 10},
        {MODE_TEXT, STR("1080p"), 8, true, 900000, 2},
        {MODE_TEXT, STR("540p"), 5, false, 360000, 40}, /* the first's like */
        {MODE_EXTEND, STR("720p"), 5, false, 500000, 1},
    };
    arena_init(&arena, 256, 0);
    assert_true(prices_learn(seen, 4, &arena, &prices));
    assert_int_equal(of(&prices, MODE_TEXT, 540, 5, false), 360000);
    assert_int_equal(of(&prices, MODE_TEXT, 1080, 8, true), 900000);
    /* none was seen like it: the dearest of its mode, of all modes */
    assert_int_equal(of(&prices, MODE_TEXT, 540, 15, false), 900000);
    assert_int_equal(of(&prices, MODE_EXTEND, 1080, 8, false), 500000);
    assert_int_equal(of(&prices, MODE_FUSION, 540, 5, false), 900000);
    assert_int_equal(prices_most(&prices), 900000);
    arena_done(&arena);
}

TEST_CASE(prices_learn__nothing_was_seen__knows_nothing)
{
    struct prices prices;
    arena_init(&arena, 256, 0);
    assert_true(prices_learn(NULL, 0, &arena, &prices));
    assert_int_equal(of(&prices, MODE_TEXT, 540, 5, false), PRICE_UNKNOWN);
    arena_done(&arena);
}

TESTS_RUN(NULL, NULL)
