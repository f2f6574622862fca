#include "lib/check.h"
#include "core/burst.h"

TEST_CASE(burst_is_over__few_rows__is_never)
{
    struct burst burst = {0};
    assert_false(burst_is_over(&burst, 0));
    assert_false(burst_is_over(&burst, 1999));
    assert_false(burst_is_over(&burst, 0));
}

TEST_CASE(burst_is_over__an_even_load__is_not)
{
    struct burst burst = {0};
    for (int i = 0; i < 100; i++) {
        assert_false(burst_is_over(&burst, 5000 + (size_t)i % 7 * 500));
    }
    assert_true(burst_is_over(&burst, 100)); /* and then it ends */
    assert_false(burst_is_over(&burst, 0));
    assert_false(burst_is_over(&burst, 6000)); /* the next one */
    assert_true(burst_is_over(&burst, 0));
}

TEST_CASE(burst_is_over__after_much__is_twice)
{
    struct burst burst = {0};
    assert_false(burst_is_over(&burst, 40000));
    assert_false(burst_is_over(&burst, 10001));
    assert_true(burst_is_over(&burst, 10000));
    assert_false(burst_is_over(&burst, 0));
    assert_false(burst_is_over(&burst, 0));
    assert_true(burst_is_over(&burst, 0)); /* what was put in order since */
    for (int i = 0; i < 10; i++) {
        assert_false(burst_is_over(&burst, 0));
    }
    assert_false(burst_is_over(&burst, 2000));
    assert_true(burst_is_over(&burst, 0));
}

TESTS_RUN(NULL, NULL)
