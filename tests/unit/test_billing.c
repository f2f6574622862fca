#include "lib/check.h"
#include "core/billing.h"

#include <string.h>

/* clang-format off */
static const struct billing_spec {
    enum failure_kind kind;
    bool sent;  /* an id or a doubt */
    int cost;   /* -1: none told */
    const char *billed;
    bool retry_safe;
} billings[] = {
    {FAILURE_INVALID_REQUEST, false, -1, "no",      true},
    {FAILURE_SUBMIT_REFUSED,  false, -1, "no",      true},
    {FAILURE_MODERATION,      true,   0, "no",      false},
    {FAILURE_MODERATION,      true,   1, "yes",     false},
    {FAILURE_MODERATION,      true,  -1, "unknown", false},
    {FAILURE_MODERATION,      false, -1, "no",      false},
    {FAILURE_PROVIDER_FAILED, true,   0, "no",      true},
    {FAILURE_PROVIDER_FAILED, true,   1, "yes",     false},
    {FAILURE_PROVIDER_FAILED, true,  -1, "unknown", false},
    {FAILURE_CANCELLED,       true,   0, "no",      true},
    {FAILURE_CANCELLED,       true,   1, "yes",     false},
    {FAILURE_CANCELLED,       true,  -1, "unknown", false},
    {FAILURE_CANCELLED,       false, -1, "no",      true},
    {FAILURE_TIMED_OUT,       true,  -1, "unknown", false},
    {FAILURE_TIMED_OUT,       false, -1, "no",      true},
    {FAILURE_SUBMIT_UNKNOWN,  true,  -1, "unknown", false},
    {FAILURE_TASK_LOST,       true,  -1, "unknown", false},
    {FAILURE_ASSET_EXPIRED,   true,   1, "yes",     false},
    {FAILURE_ASSET_UNUSABLE,  true,   1, "yes",     false},
    {FAILURE_SOURCE_FAILED,   false, -1, "no",      true},
    {FAILURE_SOURCE_FAILED,   true,  -1, "unknown", false},
    {FAILURE_NONE,            true,   1, "yes",     false},
    {FAILURE_NONE,            true,   0, "no",      false},
    {FAILURE_NONE,            true,  -1, "unknown", false},
};
/* clang-format on */

TEST_CASE(task_billed__each_kind__as_the_contract_says)
{
    for (size_t i = 0; i < sizeof billings / sizeof *billings; i++) {
        const struct billing_spec *b = &billings[i];
        for (int by_doubt = 0; by_doubt <= b->sent; by_doubt++) {
            struct task_row row = {
                .doubt = by_doubt,
                .has_cost = b->cost >= 0,
                .cost = b->cost,
            };
            if (b->sent && !by_doubt) {
                memcpy(row.provider_task_id, "task_1", 7);
            }
            assert_string_equal(task_billed(&row, b->kind), b->billed);
            assert_int_equal(task_retry_safe(&row, b->kind), b->retry_safe);
        }
    }
}

TESTS_RUN(NULL, NULL)
