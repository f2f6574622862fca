#include "core/commits.h"

#include <assert.h>

#define TOKEN INT64_C(1000)
#define BURST (25 * TOKEN)
#define PER_MS INT64_C(45) /* thousandths: 45 tokens a second */
#define RIDE_MS 80         /* the longest that anything waits to ride along */
#define ROWS_MAX 256       /* so many are worth a commit of their own */
#define SLOTS_LEAST 8      /* the same of rows with slots that are waited for */

static void refill(struct commits *commits, int64_t now_ms)
{
    assert(commits->spent >= 0 && commits->spent <= BURST);
    const int64_t passed_ms = now_ms - commits->asked_ms;
    commits->asked_ms = now_ms;
    /* Any time at all fills it in less than a second. */
    if (passed_ms >= BURST / PER_MS || passed_ms < 0) {
        commits->spent = 0;
        return;
    }
    commits->spent -= passed_ms * PER_MS;
    commits->spent = commits->spent > 0 ? commits->spent : 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/** Where submissions wait for slots, a quarter of these is worth a commit: the
 * bucket is to spare commits, not to pace who has many rows for each. */
static bool is_enough(const struct commits_wanted *wanted)
{
    const size_t quarter = wanted->slots_max / 4;
    return wanted->urgent + wanted->riding >= ROWS_MAX ||
           wanted->slots >= (quarter > SLOTS_LEAST ? quarter : SLOTS_LEAST);
}

int64_t commits_wait_ms(struct commits *commits,
                        const struct commits_wanted *wanted, int64_t now_ms)
{
    assert(wanted->urgent + wanted->riding > 0);
    assert(wanted->since_ms <= now_ms);
    refill(commits, now_ms);
    const int64_t left = BURST - commits->spent;
    const int64_t ride_ms = wanted->since_ms + RIDE_MS - now_ms;
    int64_t wait_ms = ride_ms;
    if (wanted->hurry || left >= BURST / 2 || is_enough(wanted)) {
        wait_ms = 0;
    } else if (wanted->urgent) {
        const int64_t token_ms = (TOKEN - left + PER_MS - 1) / PER_MS;
        wait_ms = least(ride_ms, token_ms);
    }
    if (wait_ms > 0) {
        return wait_ms;
    }
    commits->spent = least(commits->spent + TOKEN, BURST);
    return 0;
}
