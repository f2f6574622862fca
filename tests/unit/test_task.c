#include "core/task.h"
#include "lib/check.h"

#include <stdlib.h>
#include <string.h>

TEST_CASE(task_state_parse__each_name__comes_back)
{
    for (int i = 0; i < TASK_STATES_LEN; i++) {
        enum task_state got = i == QUEUED ? CLOSED : QUEUED;
        assert_true(task_state_parse(
            str_of(task_state_name((enum task_state)i)), &got));
        assert_int_equal(got, i);
    }
    enum task_state got = READY;
    assert_false(task_state_parse(STR(""), &got));
    assert_false(task_state_parse(STR("Ready"), &got));
    assert_false(task_state_parse(STR("running "), &got));
    assert_int_equal(got, READY);
}

TEST_CASE(failure_kind_parse__each_name__comes_back)
{
    for (int i = 1; i < FAILURE_KINDS_LEN; i++) {
        enum failure_kind got = FAILURE_NONE;
        assert_true(failure_kind_parse(
            str_of(failure_kind_name((enum failure_kind)i)), &got));
        assert_int_equal(got, i);
    }
    enum failure_kind got = FAILURE_TASK_LOST;
    assert_false(failure_kind_parse(STR(""), &got)); /* none is no kind */
    assert_false(failure_kind_parse(STR("lost"), &got));
    assert_int_equal(got, FAILURE_TASK_LOST);
}

/** Stored: an old row must never mean another thing (sql/README.md). */
TEST_CASE(task_numbers__what_is_stored__never_changes)
{
    static const char *const states[] = {"queued", "submitting", "running",
                                         "ready",  "succeeded",  "failed",
                                         "late",   "closed"};
    static const char *const kinds[] = {"",
                                        "invalid_request",
                                        "submit_refused",
                                        "moderation",
                                        "provider_failed",
                                        "cancelled",
                                        "timed_out",
                                        "submit_unknown",
                                        "task_lost",
                                        "asset_expired",
                                        "asset_unusable",
                                        "source_failed"};
    assert_int_equal(sizeof states / sizeof *states, TASK_STATES_LEN);
    assert_int_equal(sizeof kinds / sizeof *kinds, FAILURE_KINDS_LEN);
    for (int i = 0; i < TASK_STATES_LEN; i++) {
        assert_string_equal(task_state_name((enum task_state)i), states[i]);
    }
    for (int i = 0; i < FAILURE_KINDS_LEN; i++) {
        assert_string_equal(failure_kind_name((enum failure_kind)i), kinds[i]);
    }
}

TEST_CASE(task_owes__each_state__one_effect)
{
    static const char *const owed[] = {
        [QUEUED] = "claim",   [SUBMITTING] = "submit",  [RUNNING] = "poll",
        [READY] = "transfer", [SUCCEEDED] = "announce", [FAILED] = "announce",
        [LATE] = "poll",      [CLOSED] = "nothing",
    };
    for (int i = 0; i < TASK_STATES_LEN; i++) {
        assert_string_equal(task_owes_name(task_owes((enum task_state)i)),
                            owed[i]);
    }
}

TEST_CASE(task_row_done__twice__frees_once)
{
    struct task_row row = {.result = strdup("[]"), .event = strdup("{}")};
    task_row_done(&row);
    assert_null(row.result);
    assert_null(row.event);
    task_row_done(&row);
}

TESTS_RUN(NULL, NULL)
