#ifndef TESTS_LIB_CHECK_H
#define TESTS_LIB_CHECK_H

/** cmocka, with what its header needs but does not include itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/**
 * A test stands where it is written and is named there, once:
 *
 *     TEST_CASE(list_pop__what_was_added__comes_in_order)
 *     {
 *         …
 *     }
 *
 *     TESTS_RUN(NULL, NULL)
 *
 * They run in the order of the file. `state` is cmocka's.
 */
enum { CHECK_TESTS_MAX = 200 };

struct check_tests {
    struct CMUnitTest tests[CHECK_TESTS_MAX];
    size_t len;
};

static struct check_tests check_tests __attribute__((unused));

/** One more: for tests that are made of a table. */
static inline void check_add(struct CMUnitTest test)
{
    if (check_tests.len == CHECK_TESTS_MAX) {
        __builtin_trap(); /* it is too small */
    }
    check_tests.tests[check_tests.len++] = test;
}

#define TEST_CASE(name) TEST_CASE_WITH(name, NULL, NULL)

/** One with a set-up and a tear-down of its own. */
#define TEST_CASE_WITH(name, begin, end)                                       \
    static void name(void **state);                                            \
    __attribute__((constructor)) static void name##_is_a_test(void)            \
    {                                                                          \
        check_add((struct CMUnitTest){#name, name, begin, end, NULL});         \
    }                                                                          \
    static void name(void **state __attribute__((unused)))

/** Whether TESTS_ONLY, one name, is another one's. */
static inline int check_is_left_out(const struct CMUnitTest *test)
{
    const char *only = getenv("TESTS_ONLY");
    return only && strcmp(only, test->name) != 0;
}

/** How many fail. With UNTIL_FAILED, no test follows one that did: each is a
 * group of its own then, and named on stderr before, as one that aborts names
 * itself nowhere. */
static inline int check_run(int (*begin)(void **state),
                            int (*end)(void **state))
{
    int failed = 0;
    if (!getenv("TESTS_ONLY") && !getenv("UNTIL_FAILED")) {
        return _cmocka_run_group_tests("tests", check_tests.tests,
                                       check_tests.len, begin, end);
    }
    for (size_t i = 0; i < check_tests.len && !failed; i++) {
        if (!check_is_left_out(&check_tests.tests[i])) {
            fprintf(stderr, "running %s\n", check_tests.tests[i].name);
            failed = _cmocka_run_group_tests("tests", &check_tests.tests[i], 1,
                                             begin, end);
        }
    }
    return failed;
}

/** All tests of the file, between a set-up and a tear-down: for a main() that
 * has something to do before. */
#define TESTS_RESULT(begin, end) check_run(begin, end)

/** The program, where it is nothing else. */
#define TESTS_RUN(begin, end)                                                  \
    int main(void)                                                             \
    {                                                                          \
        return TESTS_RESULT(begin, end);                                       \
    }

#endif
