#include "core/keys.h"
#include "lib/check.h"

TEST_CASE(keys_doubt__each_setting_and_answer__as_promised)
{
    static const struct {
        enum keys_answer answer;
        enum submit_doubt of_auto;
    } rows[] = {
        {KEYS_NO_ANSWER, DOUBT_AUTO}, /* it waits */
        {KEYS_HONOURED, DOUBT_REPLAY},
        {KEYS_IGNORED, DOUBT_SETTLE},
        {KEYS_BROKEN, DOUBT_SETTLE},
    };
    assert_int_equal(sizeof rows / sizeof *rows, KEYS_BROKEN + 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(keys_doubt(DOUBT_AUTO, rows[i].answer),
                         rows[i].of_auto);
        assert_int_equal(keys_doubt(DOUBT_REPLAY, rows[i].answer),
                         DOUBT_REPLAY);
        assert_int_equal(keys_doubt(DOUBT_SETTLE, rows[i].answer),
                         DOUBT_SETTLE);
    }
}

TEST_CASE(keys_answer_of__any_number__is_an_answer_or_none)
{
    static const struct {
        int64_t number;
        enum keys_answer answer;
    } rows[] = {
        {0, KEYS_NO_ANSWER},         {1, KEYS_HONOURED},
        {2, KEYS_IGNORED},           {3, KEYS_BROKEN},
        {4, KEYS_NO_ANSWER},         {-1, KEYS_NO_ANSWER},
        {INT64_MAX, KEYS_NO_ANSWER}, {INT64_C(1) << 32 | 3, KEYS_NO_ANSWER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(keys_answer_of(rows[i].number), rows[i].answer);
    }
}

TESTS_RUN(NULL, NULL)
