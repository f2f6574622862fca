#ifndef CORE_SPENDING_H
#define CORE_SPENDING_H

#include "core/money.h"
#include "core/task.h"

/**
 * What a submission means for its tenant's budget: a pure word of its row and
 * of the estimate that its claim was let in with. sql/query/spending.sql says
 * the same to the database.
 */
enum spending {
    SPENDING_NONE,     /* nothing was bought */
    SPENDING_RESERVED, /* on its way: the estimate */
    SPENDING_DOUBTFUL, /* whether it is billed is open: the estimate */
    SPENDING_SPENT,    /* the cost, where it was told; else the estimate */
    SPENDING_ASSUMED,  /* nobody will ever know, as it seems: the estimate */
};

enum spending spending_of(const struct task_row *row);

/** What counts of it. */
money spending_amount(const struct task_row *row, money estimate);

/* ---- periods: days and months in UTC ---- */

enum budget_period { BUDGET_DAY, BUDGET_MONTH };

const char *budget_period_name(enum budget_period period); /* "day" "month" */

/** Days since 1970-01-01. ms: 0 or more. */
int32_t budget_day(int64_t ms);

/** The first day of the period in which that day lies; of the next one. */
int32_t budget_begins(enum budget_period period, int32_t day);
int32_t budget_ends(enum budget_period period, int32_t day);

#endif
