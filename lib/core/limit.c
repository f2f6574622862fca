#include "core/limit.h"

#include <assert.h>

/* Of what is set, so that a large limit isn't hours away. */
#define STEPS 50

enum limit_news limit_news_of(const struct outcome *outcome)
{
    assert(outcome->kind >= 0 && outcome->kind < OUTCOMES_LEN);
    if (outcome->kind == OUTCOME_ACCEPTED) {
        return LIMIT_TAKEN;
    }
    return outcome->crowded ? LIMIT_REFUSED : LIMIT_NO_NEWS;
}

int limit_slots(const struct limit *limit, const struct limit_bounds *bounds)
{
    assert(bounds->floor >= 0 && bounds->floor <= bounds->ceiling);
    if (bounds->floor == 0 || limit->slots == 0 ||
        limit->slots > bounds->ceiling) {
        return bounds->ceiling;
    }
    return limit->slots > bounds->floor ? limit->slots : bounds->floor;
}

bool limit_is_learnt(const struct limit *limit,
                     const struct limit_bounds *bounds)
{
    return limit_slots(limit, bounds) < bounds->ceiling;
}

/** Later than what it follows, whatever the clock did. */
static int64_t after(const struct limit *limit, int64_t now_ms)
{
    assert(now_ms > 0);
    return now_ms > limit->changed_ms ? now_ms : limit->changed_ms + 1;
}

bool limit_is_void(const struct limit *limit, const struct limit_bounds *bounds,
                   int64_t now_ms, struct limit *next)
{
    if (limit->slots == 0 || limit_is_learnt(limit, bounds)) {
        return false;
    }
    *next = (struct limit){.refused_ms = limit->refused_ms,
                           .changed_ms = after(limit, now_ms)};
    return true;
}

/** Its first claim: it was never refused or taken over, nor sent twice. */
static bool is_first_word(const struct task_row *row)
{
    return row->fence == 1 && row->attempt == 0 && !row->doubt;
}

bool limit_refused(const struct limit *limit, const struct limit_bounds *bounds,
                   const struct task_row *row, int64_t now_ms,
                   struct limit *next)
{
    const int now = limit_slots(limit, bounds);
    if (bounds->floor == 0 || now == bounds->floor || !is_first_word(row) ||
        row->last_sent_ms <= limit->refused_ms ||
        now_ms - limit->refused_ms < LIMIT_WINDOW_MS) {
        return false;
    }
    const int less = now - (now + 3) / 4;
    *next = (struct limit){
        .slots = less > bounds->floor ? less : bounds->floor,
        .refused_ms = now_ms,
        .changed_ms = after(limit, now_ms),
    };
    assert(next->slots >= bounds->floor && next->slots < now);
    return true;
}

bool limit_taken(const struct limit *limit, const struct limit_bounds *bounds,
                 const struct limit_seen *seen, const struct task_row *row,
                 int64_t now_ms, struct limit *next)
{
    const int now = limit_slots(limit, bounds);
    if (!limit_is_learnt(limit, bounds) || seen->full_ms <= limit->changed_ms ||
        row->last_sent_ms <= limit->changed_ms ||
        now_ms - limit->changed_ms < LIMIT_RAISE_MS ||
        now_ms - seen->refused_ms < LIMIT_RAISE_MS) {
        return false;
    }
    const int more = now + 1 + bounds->ceiling / STEPS;
    *next = (struct limit){
        .slots = more < bounds->ceiling ? more : 0,
        .refused_ms = limit->refused_ms,
        .changed_ms = after(limit, now_ms),
    };
    assert(next->slots == 0 || next->slots > now);
    return true;
}
