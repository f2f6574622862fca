#include "core/history.h"

#include <assert.h>

#define LATE_END_MS INT64_C(600000)
#define SETTLED_MS INT64_C(60000) /* a statement has 30 s */
#define REST_MIN_MS 20
#define REST_MAX_MS 5000
#define REST_TIMES 2

static int64_t day_of(int64_t ms)
{
    return ms - ms % HISTORY_DAY_MS;
}

static int64_t days_ago(int64_t days, int64_t now_ms)
{
    int64_t span_ms = days * HISTORY_DAY_MS;
    return days && span_ms < now_ms ? now_ms - span_ms : 0;
}

int64_t history_prune_before_ms(const struct history_days *days, int64_t now_ms)
{
    assert(days->history >= 0 && now_ms >= 0);
    return day_of(days_ago(days->history, now_ms));
}

int64_t history_count_before_ms(int64_t now_ms)
{
    return now_ms > LATE_END_MS ? day_of(now_ms - LATE_END_MS) : 0;
}

int64_t history_known_from_ms(const struct history_days *days, int64_t now_ms)
{
    assert(days->ids >= 0 && now_ms >= 0);
    return days_ago(days->ids, now_ms);
}

int64_t history_settled_ms(int64_t now_ms)
{
    return now_ms - SETTLED_MS;
}

int64_t history_rest_ms(int64_t took_ms)
{
    int64_t rest_ms = took_ms * REST_TIMES;
    if (rest_ms < REST_MIN_MS) {
        return REST_MIN_MS;
    }
    return rest_ms < REST_MAX_MS ? rest_ms : REST_MAX_MS;
}
