#ifndef PIXVERSE_CTL_BUDGETS_H
#define PIXVERSE_CTL_BUDGETS_H

#include "ctl.h"

/** How budgets stand (sql/query/ctl_budgets.sql), for budget, top and stats. */

/** A row a budget, of this cell; the caller's. Null after saying why not. */
json_t *budgets_read(struct ctl *ctl);

/** For people, near their limit in colour and in words; nothing for none. */
void budgets_print(const struct ctl *ctl, const json_t *rows);

#endif
