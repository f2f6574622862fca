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

/** What stands after the next `expires_at` of a result; absent: none. */
static struct str next_expires(struct str result)
{
    static const char name[] = "\"expires_at\":";
    const char *at = result.len
                         ? memmem(result.at, result.len, name, sizeof name - 1)
                         : NULL;
    if (!at) {
        return (struct str){0};
    }
    at += sizeof name - 1;
    return (struct str){at, result.len - (size_t)(at - result.at)};
}

/** How many digits it begins with. */
static size_t digits_of(struct str text)
{
    size_t len = 0;
    while (len < text.len && text.at[len] >= '0' && text.at[len] <= '9') {
        len++;
    }
    return len;
}

/** The earliest `expires_at` in a result, 0 where it names none. What lies a
 * day before it was accepted is no time: a relay may tell how long a URL lasts.
 */
static int64_t first_expires_ms(struct str result, int64_t submitted_ms)
{
    int64_t first_ms = 0;
    for (struct str at = next_expires(result); at.at; at = next_expires(at)) {
        int64_t ms = 0;
        const struct str digits = {at.at, digits_of(at)};
        if (str_to_i64(digits, 1, INT64_MAX, &ms) &&
            ms > submitted_ms - ASSET_LIFE_MS && (!first_ms || ms < first_ms)) {
            first_ms = ms;
        }
    }
    return first_ms;
}

int64_t task_result_expires_ms(const struct task_row *row, struct str result)
{
    const int64_t expires_ms = first_expires_ms(result, row->submitted_ms);
    if (expires_ms) {
        return expires_ms;
    }
    /* A provider's clock may be wrong: nothing is finished before it began. */
    return (row->generated_ms > row->submitted_ms ? row->generated_ms
                                                  : row->submitted_ms) +
           ASSET_LIFE_MS;
}

int64_t task_expires_ms(const struct task_row *row)
{
    return task_result_expires_ms(row, str_of(row->result));
}

bool result_has_same_urls(struct str a, struct str b)
{
    for (;;) {
        const struct str next_a = next_expires(a);
        const struct str next_b = next_expires(b);
        a.len -= next_a.len;
        b.len -= next_b.len;
        if (!str_eq(a, b) || !next_a.at != !next_b.at) {
            return false;
        }
        if (!next_a.at) {
            return true;
        }
        const size_t digits_a = digits_of(next_a);
        const size_t digits_b = digits_of(next_b);
        a = (struct str){next_a.at + digits_a, next_a.len - digits_a};
        b = (struct str){next_b.at + digits_b, next_b.len - digits_b};
    }
}
