#include "core/until.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Where the provider named no expiry: a day. */
#define ASSET_LIFE_MS (24 * INT64_C(3600000))

int64_t task_late_until_ms(const struct task_row *row, int64_t late_ms)
{
    assert(late_ms >= 0);
    return row->submitted_ms + late_ms;
}

bool task_is_strange(const struct task *task, int64_t now_ms)
{
    const struct task_memo *memo = &task->memo;
    assert(task->row.state == RUNNING);
    return !memo->answered && now_ms < memo->strange_until_ms;
}

bool task_time_is_up(const struct task *task, int64_t late_ms, int64_t now_ms)
{
    const struct task_row *row = &task->row;
    assert(row->state == RUNNING || row->state == LATE);
    if (row->state == LATE) {
        return now_ms >= task_late_until_ms(row, late_ms);
    }
    return now_ms >= row->deadline_ms && !task_is_strange(task, now_ms);
}

/** The earliest `expires_at` in a result, 0 where it names none. */
static int64_t result_expires_ms(const char *result)
{
    static const char name[] = "\"expires_at\":";
    int64_t first_ms = 0;
    for (const char *at = result; at && (at = strstr(at, name));) {
        at += sizeof name - 1;
        int64_t ms = strtoll(at, NULL, 10);
        if (ms > 0 && (!first_ms || ms < first_ms)) {
            first_ms = ms;
        }
    }
    return first_ms;
}

int64_t task_expires_ms(const struct task_row *row)
{
    int64_t expires_ms = result_expires_ms(row->result);
    return expires_ms ? expires_ms : row->generated_ms + ASSET_LIFE_MS;
}
