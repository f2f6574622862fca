#include "flow/unreadable.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define LOOK_FIRST_MS 10000 /* the start of a fleet has better to do */
#define LOOK_EVERY_MS 30000
#define LOOK_EVERY_MAX_MS 600000
#define LOOK_REST 200 /* times as long as a look took, if that is longer: where
                         rows are many it takes its time, and turns wait */

void unreadable_init(struct unreadable *unreadable, struct engine *engine)
{
    *unreadable = (struct unreadable){.engine = engine};
    unreadable->gauge = metric_get(
        engine->edges.metrics, METRIC_GAUGE, "pixverse_tasks_unreadable", NULL,
        "Rows of the fleet that this program can't read and leaves alone; told "
        "by one worker, 0 by the others.");
}

static bool is_named(const struct unreadable *unreadable, int64_t task)
{
    for (size_t i = 0; i < unreadable->named_len; i++) {
        if (unreadable->named[i] == task) {
            return true;
        }
    }
    return false;
}

static void name_new(const struct unreadable *unreadable,
                     const struct unreadable_row *rows, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_named(unreadable, rows[i].task)) {
            log_at(LOG_ERROR, "unreadable: this program cannot read a task's "
                              "row and leaves it alone",
                   LOG_I64("task", rows[i].task),
                   LOG_STR("request_id", rows[i].request_id));
        }
    }
}

static void take(struct unreadable *unreadable, int64_t count,
                 const struct unreadable_row *rows, size_t len)
{
    unreadable->rows = count;
    unreadable->first[0] = '\0';
    metric_set(unreadable->gauge, (double)count);
    if (len && rows[0].request_id.len) {
        snprintf(unreadable->first, sizeof unreadable->first, "request %.*s",
                 (int)rows[0].request_id.len, rows[0].request_id.at);
    } else if (len) {
        snprintf(unreadable->first, sizeof unreadable->first, "task %lld",
                 (long long)rows[0].task);
    }
    len = len < UNREADABLE_NAMED_MAX ? len : UNREADABLE_NAMED_MAX;
    name_new(unreadable, rows, len);
    for (size_t i = 0; i < len; i++) {
        unreadable->named[i] = rows[i].task;
    }
    unreadable->named_len = len;
}

/** When the next look is due. */
static int64_t rested_ms(const struct unreadable *unreadable, bool good)
{
    const int64_t boot_ms = loop_boot_ms(unreadable->engine->edges.loop);
    int64_t rest_ms = good ? (boot_ms - unreadable->asked_ms) * LOOK_REST : 0;
    rest_ms = rest_ms > LOOK_EVERY_MS ? rest_ms : LOOK_EVERY_MS;
    return boot_ms + (rest_ms < LOOK_EVERY_MAX_MS ? rest_ms : LOOK_EVERY_MAX_MS);
}

static void on_rows(void *context, int64_t count,
                    const struct unreadable_row *rows, size_t len,
                    const struct err *err)
{
    struct unreadable *unreadable = context;
    unreadable->looking = false;
    unreadable->due_ms = rested_ms(unreadable, err == NULL);
    if (err) {
        return; /* the next look will do */
    }
    /* Somebody may have mended one whose worker's lease is long forgotten:
     * nothing else would lead to it. */
    engine_want_adopts(unreadable->engine);
    take(unreadable, count, rows, len);
}

void unreadable_look(struct unreadable *unreadable, bool ours)
{
    struct engine *engine = unreadable->engine;
    int64_t boot_ms = loop_boot_ms(engine->edges.loop);
    if (!ours) {
        take(unreadable, 0, NULL, 0);
        unreadable->due_ms = 0;
    } else if (!unreadable->due_ms) {
        unreadable->due_ms = boot_ms + LOOK_FIRST_MS;
    } else if (!unreadable->looking && boot_ms >= unreadable->due_ms) {
        unreadable->looking = true;
        unreadable->asked_ms = boot_ms;
        store_unreadable(engine->edges.store, engine->owner,
                         UNREADABLE_NAMED_MAX, on_rows, unreadable);
    }
}
