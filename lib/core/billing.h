#ifndef CORE_BILLING_H
#define CORE_BILLING_H

#include "core/task.h"

/** How payment stands, as events tell it: "yes", "no" or "unknown". */
const char *task_billed(const struct task_row *row, enum failure_kind kind);
bool task_retry_safe(const struct task_row *row, enum failure_kind kind);

#endif
