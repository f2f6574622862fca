/* wraps: calloc */
#include "base/must.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/check.h"

struct record {
    char bytes[1000];
};

static bool none;

void *__real_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes)
{
    return none ? NULL : __real_calloc(n, bytes);
}

static int back_to_plenty(void **state)
{
    (void)state;
    none = false;
    return 0;
}

TEST_CASE_WITH(must_new__memory_is_there__zeroed, NULL, back_to_plenty)
{
    struct record *record = MUST_NEW(struct record);
    for (size_t i = 0; i < sizeof record->bytes; i++) {
        assert_int_equal(record->bytes[i], 0);
    }
    must_free(record);
    must_free(NULL);
}

TEST_CASE_WITH(must_new__no_memory__zeroed_and_apart, NULL, back_to_plenty)
{
    struct record *records[MUST_SLOTS];
    none = true;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MUST_SLOTS; i++) {
            records[i] = MUST_NEW(struct record);
            assert_int_equal(records[i]->bytes[0], 0);
            assert_int_equal(records[i]->bytes[999], 0);
            memset(records[i], i + 1, sizeof *records[i]);
        }
        for (int i = 0; i < MUST_SLOTS; i++) {
            assert_int_equal(records[i]->bytes[0], i + 1);
            assert_int_equal(records[i]->bytes[999], i + 1);
            must_free(records[i]);
        }
    }
}

TEST_CASE_WITH(must_new__one_is_given_back__is_there_again, NULL,
               back_to_plenty)
{
    struct record *records[MUST_SLOTS];
    none = true;
    for (int i = 0; i < MUST_SLOTS; i++) {
        records[i] = MUST_NEW(struct record);
    }
    must_free(records[17]);
    records[17] = MUST_NEW(struct record);
    for (int i = 0; i < MUST_SLOTS; i++) {
        must_free(records[i]);
    }
}

TEST_CASE_WITH(must_new__the_reserve_is_used_up__the_process_ends, NULL,
               back_to_plenty)
{
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        none = true;
        for (int i = 0; i <= MUST_SLOTS; i++) {
            (void)MUST_NEW(struct record);
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

TESTS_RUN(NULL, NULL)
