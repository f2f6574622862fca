#ifndef CORE_UNTIL_H
#define CORE_UNTIL_H

#include "core/task.h"

#include <stdbool.h>
#include <stdint.h>

/** Until when, as a task itself says: who waits asks what the rules ask. */

/** How long a paid video is looked for. */
int64_t task_late_until_ms(const struct task_row *row, int64_t late_ms);

/** RUNNING, LATE: whether the next thing is TIME_UP and no poll any more. The
 * step asks the same. */
bool task_time_is_up(const struct task *task, int64_t late_ms, int64_t now_ms);

/** RUNNING: taken over and not answered since, for ten minutes at most. Who had
 * it may have known that it is finished, and brought its videos home. */
bool task_is_strange(const struct task *task, int64_t now_ms);

/** READY: when the first of the URLs ends; if unnamed, 24 h after `completed`,
 * or after it was accepted if that is later. */
int64_t task_expires_ms(const struct task_row *row);

/** The same for a result that isn't the row's yet, as in task_row.result. */
int64_t task_result_expires_ms(const struct task_row *row, struct str result);

/** Whether two results name the same URLs in the same order; when they end may
 * differ. */
bool result_has_same_urls(struct str a, struct str b);

#endif
