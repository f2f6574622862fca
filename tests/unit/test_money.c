#include "lib/check.h"
#include "core/money.h"

#include <math.h>

static const char *parsed(const char *text)
{
    static char out[MONEY_TEXT_BYTES];
    money amount = -7;
    return money_parse(str_of(text), &amount) ? money_text(amount, out)
                                              : "none";
}

TEST_CASE(money_parse__decimals__exact)
{
    assert_string_equal(parsed("0"), "0");
    assert_string_equal(parsed("12"), "12");
    assert_string_equal(parsed("0.1"), "0.1");
    assert_string_equal(parsed("0.000001"), "0.000001");
    assert_string_equal(parsed("1234.500000"), "1234.5");
    assert_string_equal(parsed("007"), "7");
    assert_string_equal(parsed("1000000000"), "1000000000");
    assert_string_equal(parsed("999999999.999999"), "999999999.999999");
}

TEST_CASE(money_parse__no_amounts__refused)
{
    static const char *const odd[] = {
        "",
        ".",
        ".5",
        "5.",
        "-1",
        "+1",
        "1e3",
        "1,5",
        "1.2.",
        "0x10",
        "1.0000001",
        " 1",
        "1 ",
        "nan",
        "inf",
        "$1",
        "1..2",
        "1000000001",
        "1000000000.000001",
        "99999999999999999999999999",
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        assert_string_equal(parsed(odd[i]), "none");
    }
}

TEST_CASE(money_of_cost__doubles__nearest_and_bounded)
{
    assert_int_equal(money_of_cost(0), 0);
    assert_int_equal(money_of_cost(0.35), 350000);
    assert_int_equal(money_of_cost(0.1 + 0.2), 300000);
    assert_int_equal(money_of_cost(0.0000004), 0);
    assert_int_equal(money_of_cost(0.0000006), 1);
    assert_int_equal(money_of_cost(1e300), MONEY_MAX);
    assert_int_equal(money_of_cost((double)INFINITY), MONEY_MAX);
    assert_int_equal(money_of_cost((double)NAN), MONEY_MAX);
}

TEST_CASE(money_text__below_nothing__with_a_minus)
{
    char text[MONEY_TEXT_BYTES];
    assert_string_equal(money_text(-1500000, text), "-1.5");
    assert_string_equal(money_text(INT64_MIN, text), "-9223372036854.775808");
}

TESTS_RUN(NULL, NULL)
