#include "core/outcome.h"
#include "lib/check.h"

#include <string.h>

TEST_CASE(outcome_kind_name__each__is_the_word_of_the_list)
{
    static const char *const words[] = {
#define X(name) #name,
        OUTCOMES(X)
#undef X
    };
    assert_int_equal(sizeof words / sizeof *words, OUTCOMES_LEN);
    assert_string_equal(outcome_kind_name(OUTCOME_CLAIMED), "CLAIMED");
    assert_string_equal(outcome_kind_name(OUTCOME_UNANNOUNCED), "UNANNOUNCED");
    for (int kind = 0; kind < OUTCOMES_LEN; kind++) {
        assert_string_equal(outcome_kind_name((enum outcome_kind)kind),
                            words[kind]);
    }
}

/** The names stand in the table of holds. */
TEST_CASE(hold_reason_parse__each_name__comes_back)
{
    for (int i = 1; i < HOLD_REASONS_LEN; i++) {
        enum hold_reason reason = HOLD_NONE;
        const char *name = hold_reason_name((enum hold_reason)i);
        assert_true(strlen(name) > 0);
        assert_true(hold_reason_parse(str_of(name), &reason));
        assert_int_equal(reason, i);
    }
    assert_string_equal(hold_reason_name(HOLD_NONE), "");
}

TEST_CASE(hold_reason_parse__no_name__leaves_it)
{
    static const char *const odd[] = {"", "Auth", "auth ", "operators", "au"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        enum hold_reason reason = HOLD_STORAGE;
        assert_false(hold_reason_parse(str_of(odd[i]), &reason));
        assert_int_equal(reason, HOLD_STORAGE);
    }
}

TEST_CASE(outcome_is_doubt__a_documented_answer__is_none)
{
    for (int kind = 0; kind < OUTCOMES_LEN; kind++) {
        assert_int_equal(outcome_is_doubt((enum outcome_kind)kind),
                         kind == OUTCOME_UNANSWERED ||
                             kind == OUTCOME_INDETERMINATE);
    }
}

TESTS_RUN(NULL, NULL)
