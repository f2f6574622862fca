#include "flow/bury.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "flow/engine_told.h"

#include <assert.h>

static void next(struct bury *bury);

/** Takeovers are measured from its last sign of life. */
static void note_death(const struct bury *bury, int64_t dead)
{
    turn_worker_gone(&bury->engine->turns,
                     lease_watch_moved_ms(bury->watch, dead));
}

/** One after the other, so that no bump of ours ever waits behind more than
 * one; what can't be buried now is met again in the next look. */
static void on_buried(void *context, bool done, const struct err *err)
{
    struct bury *bury = context;
    assert(bury->under_way && bury->after > 0);
    bury->under_way = false;
    if (done && (!err || err->kind == ERR_NONE)) {
        CRASHPOINT("bury_after");
        log_at(LOG_WARN, "a worker is dead; its tasks are taken over",
               LOG_I64("lease", bury->after));
        note_death(bury, bury->after);
        engine_want_adopts(bury->engine);
    }
    next(bury);
}

static void next(struct bury *bury)
{
    const struct engine *engine = bury->engine;
    int64_t counter = 0;
    int64_t suspect = 0;
    if (store_is_up(engine->edges.store) && engine->turns.owner) {
        suspect =
            lease_watch_suspect(bury->watch, engine->turns.owner, bury->after,
                                loop_boot_ms(engine->edges.loop), &counter);
    }
    if (!suspect) {
        return;
    }
    assert(suspect > bury->after && !bury->under_way);
    CRASHPOINT("bury_before");
    bury->under_way = true;
    bury->after = suspect;
    store_bury(engine->edges.store, suspect, counter, on_buried, bury);
}

void bury_look(struct bury *bury)
{
    if (!bury->under_way) {
        bury->after = 0;
        next(bury);
    }
    const int64_t dead = lease_watch_dead(bury->watch);
    if (dead) {
        note_death(bury, dead);
        engine_want_adopts(bury->engine);
    }
}
