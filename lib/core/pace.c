#include "core/pace.h"

#include "core/retry.h"

#include <assert.h>

#define SHUT_BASE_MS 1000
#define SHUT_CAP_MS 60000

enum pace_news pace_news_of(const struct outcome *outcome)
{
    assert(outcome->kind >= 0 && outcome->kind < OUTCOMES_LEN);
    if (outcome->kind == OUTCOME_ACCEPTED) {
        return PACE_ACCEPTED;
    }
    if (outcome->kind == OUTCOME_NOT_SENT) {
        return PACE_UNREACHED;
    }
    if (outcome->kind == OUTCOME_PUT_OFF && outcome->hold == HOLD_THROTTLE) {
        return PACE_THROTTLED;
    }
    return PACE_NO_NEWS;
}

void pace_init(struct pace *pace, int at_once_max)
{
    assert(at_once_max >= 1);
    *pace = (struct pace){
        .at_once_max = at_once_max,
        .at_once = at_once_max,
    };
}

/** Between one and all that the settings allow, always. */
static void check(const struct pace *pace)
{
    assert(pace->at_once_max >= 1);
    assert(pace->at_once >= 1 && pace->at_once <= pace->at_once_max);
    assert(pace->shut_until_ms >= 0 && pace->failures >= 0);
}

int pace_room(const struct pace *pace, int under_way, int64_t now_ms)
{
    check(pace);
    assert(under_way >= 0);
    if (now_ms < pace->shut_until_ms || under_way >= (int)pace->at_once) {
        return 0;
    }
    return (int)pace->at_once - under_way;
}

void pace_accepted(struct pace *pace)
{
    assert(pace->at_once >= 1);
    /* One more after each round of as many as are allowed. */
    pace->at_once += 1 / pace->at_once;
    if (pace->at_once > pace->at_once_max) {
        pace->at_once = pace->at_once_max;
    }
    pace->failures = 0;
    check(pace);
}

void pace_pushed_back(struct pace *pace, int64_t retry_after_ms, int64_t now_ms,
                      uint32_t random)
{
    assert(pace->at_once >= 1);
    assert(retry_after_ms >= 0);
    /* Sends that were under way when the gate shut come back with the same
     * news: they count once, or one throttle would bring 32 down to 1. */
    const bool news = now_ms >= pace->shut_until_ms;
    if (news) {
        pace->failures += 1;
        pace->at_once = pace->at_once / 2 > 1 ? pace->at_once / 2 : 1;
    }
    int64_t wait_ms =
        retry_wait_ms(pace->failures, SHUT_BASE_MS, SHUT_CAP_MS, random);
    if (wait_ms < retry_after_ms) {
        /* A little later than asked, or the whole fleet is back at once. */
        wait_ms = retry_after_ms + (int64_t)(random % 1000);
    }
    if (news || now_ms + retry_after_ms > pace->shut_until_ms) {
        pace->shut_until_ms = now_ms + wait_ms;
    }
    check(pace);
}

void pace_restart(struct pace *pace)
{
    assert(pace->at_once_max >= 1);
    pace->at_once = 1;
    pace->shut_until_ms = 0;
    pace->failures = 0;
}
