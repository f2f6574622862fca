#include "flow/slots.h"

#include "base/crashpoint.h"
#include "base/log.h"

#include <assert.h>
#include <stdio.h>

static struct limit_bounds bounds_of(const struct slots *slots)
{
    return (struct limit_bounds){.floor = slots->settings->slots_min,
                                 .ceiling = slots->settings->slots};
}

static void show(struct slots *slots)
{
    if (slots->learnt) {
        metric_set(slots->learnt, slots_now(slots));
    }
}

void slots_init(struct slots *slots, struct store *store,
                const struct account_settings *settings,
                struct metrics *metrics)
{
    assert(settings->slots_min <= settings->slots);
    *slots = (struct slots){.store = store, .settings = settings};
    if (settings->slots_min > 0) {
        char label[ACCOUNT_NAME_BYTES + 16];
        snprintf(label, sizeof label, "account=\"%s\"", settings->name);
        slots->learnt = metric_get(
            metrics, METRIC_GAUGE, "pixverse_account_slots_learnt", label,
            "Generations at once that the account takes, as learnt from what "
            "was refused; its slots while nothing was.");
    }
    show(slots);
}

int slots_now(const struct slots *slots)
{
    const struct limit_bounds bounds = bounds_of(slots);
    return limit_slots(&slots->limit, &bounds);
}

bool slots_are_learnt(const struct slots *slots)
{
    const struct limit_bounds bounds = bounds_of(slots);
    return limit_is_learnt(&slots->limit, &bounds);
}

void slots_words(const struct slots *slots, char *out, size_t out_bytes)
{
    char since[25];
    if (slots_are_learnt(slots)) {
        str_time(slots->limit.changed_ms, since);
        snprintf(out, out_bytes, "learnt limit %d of %d slots, since %s",
                 slots_now(slots), slots->settings->slots, since);
    } else {
        snprintf(out, out_bytes, "slots=%d", slots->settings->slots);
    }
}

static void take(struct slots *slots, const struct limit *limit)
{
    slots->limit = *limit;
    show(slots);
}

void slots_full(struct slots *slots, int64_t now_ms)
{
    assert(now_ms > 0);
    slots->seen.full_ms = now_ms;
}

/** Lost or another's: the next beat tells what is stored. */
static void on_written(void *context, bool done, const struct err *err)
{
    struct slots *slots = context;
    assert(slots->writing);
    slots->writing = false;
    if (!done || err) {
        return;
    }
    CRASHPOINT("limit_after");
    const int before = slots_now(slots);
    take(slots, &slots->next);
    const bool less = slots_now(slots) < before;
    log_at(less ? LOG_WARN : LOG_INFO,
           less ? "the provider takes fewer generations at once: fewer slots "
                  "are used"
                : "more generations at once are tried",
           LOG_TEXT("account", slots->settings->name),
           LOG_I64("slots", slots_now(slots)),
           LOG_I64("of", slots->settings->slots));
}

/** What was decided, in `next`. */
static void write_next(struct slots *slots)
{
    const struct limit_write write = {
        .name = str_of(slots->settings->name),
        .next = slots->next,
        .ceiling = slots->settings->slots,
        .was_ms = slots->limit.changed_ms,
    };
    assert(!slots->writing);
    slots->writing = true;
    CRASHPOINT("limit_before");
    store_limit(slots->store, &write, on_written, slots);
}

bool slots_told(struct slots *slots, const struct limit *limit, int64_t now_ms)
{
    const struct limit_bounds bounds = bounds_of(slots);
    const int before = slots_now(slots);
    take(slots, limit);
    if (!slots->writing &&
        limit_is_void(limit, &bounds, now_ms, &slots->next)) {
        write_next(slots);
    }
    return slots_now(slots) > before;
}

void slots_heard(struct slots *slots, const struct task_row *row,
                 const struct outcome *outcome, int64_t now_ms)
{
    const struct limit_bounds bounds = bounds_of(slots);
    const enum limit_news news = limit_news_of(outcome);
    if (bounds.floor == 0 || news == LIMIT_NO_NEWS) {
        return;
    }
    if (news == LIMIT_REFUSED) {
        slots->seen.refused_ms = now_ms;
    }
    if (slots->writing ||
        (news == LIMIT_REFUSED
             ? !limit_refused(&slots->limit, &bounds, row, now_ms, &slots->next)
             : !limit_taken(&slots->limit, &bounds, &slots->seen, row, now_ms,
                            &slots->next))) {
        return;
    }
    write_next(slots);
}
