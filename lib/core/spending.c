#include "core/spending.h"

#include <assert.h>

#define DAY_MS INT64_C(86400000)

/** A kind of failure whose payment nobody told, and perhaps nobody ever will.
 */
static bool leaves_open(const struct task_row *row, bool accepted)
{
    switch (row->kind) {
    case FAILURE_SUBMIT_UNKNOWN:
    case FAILURE_TASK_LOST:
        return true;
    case FAILURE_TIMED_OUT:
    case FAILURE_SOURCE_FAILED:
        return accepted;
    case FAILURE_NONE:
    case FAILURE_INVALID_REQUEST:
    case FAILURE_SUBMIT_REFUSED:
    case FAILURE_MODERATION:
    case FAILURE_PROVIDER_FAILED:
    case FAILURE_CANCELLED:
    case FAILURE_ASSET_EXPIRED:
    case FAILURE_ASSET_UNUSABLE:
    case FAILURE_KINDS_LEN:
        break;
    }
    return false;
}

static bool bought_nothing(const struct task_row *row, bool accepted)
{
    switch (row->kind) {
    case FAILURE_INVALID_REQUEST:
    case FAILURE_SUBMIT_REFUSED:
        return true;
    case FAILURE_TIMED_OUT:
    case FAILURE_SOURCE_FAILED:
    case FAILURE_MODERATION:
    case FAILURE_PROVIDER_FAILED:
    case FAILURE_CANCELLED:
        return !accepted;
    case FAILURE_NONE:
    case FAILURE_SUBMIT_UNKNOWN:
    case FAILURE_TASK_LOST:
    case FAILURE_ASSET_EXPIRED:
    case FAILURE_ASSET_UNUSABLE:
    case FAILURE_KINDS_LEN:
        break;
    }
    return false;
}

/** Of one that has ended. */
static enum spending of_end(const struct task_row *row)
{
    assert(row->state == SUCCEEDED || row->state == FAILED ||
           row->state == CLOSED);
    const bool accepted = row->provider_task_id[0] || row->doubt;
    const bool open = leaves_open(row, accepted);
    if (bought_nothing(row, accepted)) {
        return SPENDING_NONE;
    }
    if (row->state == FAILED && open) {
        return SPENDING_DOUBTFUL;
    }
    return open && !row->has_cost ? SPENDING_ASSUMED : SPENDING_SPENT;
}

enum spending spending_of(const struct task_row *row)
{
    switch (row->state) {
    case QUEUED: /* in doubt: of before the database was set back */
        return row->doubt ? SPENDING_DOUBTFUL : SPENDING_NONE;
    case SUBMITTING:
        return row->doubt ? SPENDING_DOUBTFUL : SPENDING_RESERVED;
    case RUNNING:
    case READY:
        return row->late ? SPENDING_DOUBTFUL : SPENDING_RESERVED;
    case LATE:
        return SPENDING_DOUBTFUL;
    case SUCCEEDED:
    case FAILED:
    case CLOSED:
        return of_end(row);
    case TASK_STATES_LEN:
        break;
    }
    assert(!"no such state");
    return SPENDING_DOUBTFUL;
}

money spending_amount(const struct task_row *row, money estimate)
{
    assert(estimate >= 0 && estimate <= MONEY_MAX);
    const enum spending spending = spending_of(row);
    if (spending == SPENDING_NONE) {
        return 0;
    }
    return spending == SPENDING_SPENT && row->has_cost
               ? money_of_cost(row->cost)
               : estimate;
}

/* ---- periods ---- */

const char *budget_period_name(enum budget_period period)
{
    assert(period == BUDGET_DAY || period == BUDGET_MONTH);
    return period == BUDGET_DAY ? "day" : "month";
}

int32_t budget_day(int64_t ms)
{
    assert(ms >= 0);
    return (int32_t)(ms / DAY_MS);
}

/** Days from 1970-01-01 to the first of a month, counted from January of the
 * year 0. */
static int32_t month_day(int32_t month)
{
    /* Years begin in March, so that leap days are their last. */
    const int32_t months = month - 2;
    const int32_t y = months / 12;
    const int32_t m = months % 12;
    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 - 719468;
}

/** The month in which a day lies, counted so. */
static int32_t month_of(int32_t day)
{
    int32_t month = 1970 * 12 + day / 31;
    while (month_day(month + 1) <= day) {
        month++;
    }
    assert(month_day(month) <= day && day < month_day(month + 1));
    return month;
}

int32_t budget_begins(enum budget_period period, int32_t day)
{
    assert(day >= 0);
    return period == BUDGET_DAY ? day : month_day(month_of(day));
}

int32_t budget_ends(enum budget_period period, int32_t day)
{
    assert(day >= 0);
    return period == BUDGET_DAY ? day + 1 : month_day(month_of(day) + 1);
}
