#include "lib/check.h"
#include "core/spending.h"

#include <time.h>

static struct task_row row_of(enum task_state state, enum failure_kind kind)
{
    return (struct task_row){.state = state, .kind = kind};
}

#define ESTIMATE INT64_C(350000)

TEST_CASE(spending__on_its_way__the_estimate)
{
    struct task_row row = row_of(QUEUED, FAILURE_NONE);
    assert_int_equal(spending_of(&row), SPENDING_NONE);
    assert_int_equal(spending_amount(&row, ESTIMATE), 0);
    row.doubt = true; /* of before the database was set back */
    assert_int_equal(spending_of(&row), SPENDING_DOUBTFUL);
    row.doubt = false;
    row.state = SUBMITTING;
    assert_int_equal(spending_of(&row), SPENDING_RESERVED);
    assert_int_equal(spending_amount(&row, ESTIMATE), ESTIMATE);
    row.doubt = true;
    assert_int_equal(spending_of(&row), SPENDING_DOUBTFUL);
    row = row_of(READY, FAILURE_NONE);
    row.has_cost = true;
    row.cost = 7;
    assert_int_equal(spending_of(&row), SPENDING_RESERVED);
    assert_int_equal(spending_amount(&row, ESTIMATE), ESTIMATE);
    row.late = true;
    assert_int_equal(spending_of(&row), SPENDING_DOUBTFUL);
}

TEST_CASE(spending__completed__its_cost_else_the_estimate)
{
    struct task_row row = row_of(SUCCEEDED, FAILURE_NONE);
    row.provider_task_id[0] = 't';
    assert_int_equal(spending_of(&row), SPENDING_SPENT);
    assert_int_equal(spending_amount(&row, ESTIMATE), ESTIMATE);
    row.has_cost = true;
    row.cost = 0.4;
    assert_int_equal(spending_amount(&row, ESTIMATE), 400000);
    row.state = CLOSED;
    assert_int_equal(spending_of(&row), SPENDING_SPENT);
    assert_int_equal(spending_amount(&row, ESTIMATE), 400000);
}

TEST_CASE(spending__failed__by_its_kind)
{
    static const struct {
        enum failure_kind kind;
        bool accepted;
        enum spending told; /* FAILED */
        enum spending ended;
    } rows[] = {
        {FAILURE_INVALID_REQUEST, false, SPENDING_NONE, SPENDING_NONE},
        {FAILURE_SUBMIT_REFUSED, false, SPENDING_NONE, SPENDING_NONE},
        {FAILURE_MODERATION, false, SPENDING_NONE, SPENDING_NONE},
        {FAILURE_MODERATION, true, SPENDING_SPENT, SPENDING_SPENT},
        {FAILURE_PROVIDER_FAILED, true, SPENDING_SPENT, SPENDING_SPENT},
        {FAILURE_CANCELLED, false, SPENDING_NONE, SPENDING_NONE},
        {FAILURE_CANCELLED, true, SPENDING_SPENT, SPENDING_SPENT},
        {FAILURE_TIMED_OUT, false, SPENDING_NONE, SPENDING_NONE},
        {FAILURE_TIMED_OUT, true, SPENDING_DOUBTFUL, SPENDING_ASSUMED},
        {FAILURE_SUBMIT_UNKNOWN, false, SPENDING_DOUBTFUL, SPENDING_ASSUMED},
        {FAILURE_TASK_LOST, true, SPENDING_DOUBTFUL, SPENDING_ASSUMED},
        {FAILURE_ASSET_EXPIRED, true, SPENDING_SPENT, SPENDING_SPENT},
        {FAILURE_ASSET_UNUSABLE, true, SPENDING_SPENT, SPENDING_SPENT},
        {FAILURE_SOURCE_FAILED, false, SPENDING_NONE, SPENDING_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct task_row row = row_of(FAILED, rows[i].kind);
        row.provider_task_id[0] = rows[i].accepted ? 't' : '\0';
        assert_int_equal(spending_of(&row), rows[i].told);
        row.state = CLOSED;
        assert_int_equal(spending_of(&row), rows[i].ended);
        const bool counts = rows[i].ended != SPENDING_NONE;
        assert_int_equal(spending_amount(&row, ESTIMATE),
                         counts ? ESTIMATE : 0);
        row.has_cost = true;
        row.cost = 0;
        assert_int_equal(spending_amount(&row, ESTIMATE), 0);
        if (counts) {
            assert_int_equal(spending_of(&row), SPENDING_SPENT);
        }
    }
    struct task_row late = row_of(LATE, FAILURE_TIMED_OUT);
    late.provider_task_id[0] = 't';
    assert_int_equal(spending_of(&late), SPENDING_DOUBTFUL);
    struct task_row doubt = row_of(FAILED, FAILURE_CANCELLED);
    doubt.doubt = true;
    assert_int_equal(spending_amount(&doubt, ESTIMATE), ESTIMATE);
}

/** As the C library has them, for four hundred years. */
TEST_CASE(budget_begins__every_day__its_month)
{
    for (int32_t day = 0; day < 146100; day++) {
        const time_t at = (time_t)day * 86400;
        struct tm tm;
        assert_non_null(gmtime_r(&at, &tm));
        assert_int_equal(budget_begins(BUDGET_MONTH, day),
                         day - (tm.tm_mday - 1));
        assert_int_equal(budget_begins(BUDGET_DAY, day), day);
        assert_int_equal(budget_ends(BUDGET_DAY, day), day + 1);
        const int32_t next = budget_ends(BUDGET_MONTH, day);
        assert_true(next > day && next <= day + 31);
        assert_int_equal(budget_begins(BUDGET_MONTH, next), next);
    }
    assert_int_equal(budget_day(INT64_C(86400000) * 5 - 1), 4);
    assert_string_equal(budget_period_name(BUDGET_MONTH), "month");
}

TESTS_RUN(NULL, NULL)
