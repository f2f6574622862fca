#include "flow/unreadable.h"

#include "base/log.h"
#include "flow/engine_told.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define LOOK_FIRST_MS 10000 /* the start of a fleet has better to do */
#define LOOK_EVERY_MS 30000
#define LOOK_EVERY_MAX_MS 600000
/* times as long as a look took, if that is longer: turns wait for it */
#define LOOK_REST 200
#define PARTS_REST 10  /* the part of that between two parts of a table */
#define PART_MAX 10000 /* rows of the working table */
#define PART_WAITING_MAX 5000 /* each of which costs a look at its request */

void unreadable_init(struct unreadable *unreadable, struct engine *engine)
{
    *unreadable = (struct unreadable){.engine = engine};
    unreadable->gauge = metric_get(
        engine->edges.metrics, METRIC_GAUGE, "pixverse_tasks_unreadable", NULL,
        "Rows of the fleet that this program can't read and leaves alone; told "
        "by one worker, 0 by the others.");
}

static bool is_named(const struct unreadable_pass *pass, int64_t task)
{
    for (size_t i = 0; i < pass->named_len; i++) {
        if (pass->named[i] == task) {
            return true;
        }
    }
    return false;
}

static void name(struct unreadable *unreadable,
                 const struct unreadable_row *row)
{
    struct unreadable_pass *pass = &unreadable->pass;
    if (pass->named_len == UNREADABLE_NAMED_MAX) {
        return;
    }
    pass->named[pass->named_len++] = row->task;
    if (!is_named(&unreadable->last, row->task)) {
        log_at(LOG_ERROR,
               "unreadable: this program cannot read a task's "
               "row and leaves it alone",
               LOG_I64("task", row->task),
               LOG_STR("request_id", row->request_id));
    }
}

static void take(struct unreadable *unreadable,
                 const struct unreadable_part *part)
{
    struct unreadable_pass *pass = &unreadable->pass;
    assert(part->count >= (int64_t)part->len);
    assert(!part->last || part->last > pass->after);
    pass->rows += part->count;
    pass->after = part->last;
    if (part->len && !pass->first[0] && part->rows[0].request_id.len) {
        snprintf(pass->first, sizeof pass->first, "request %.*s",
                 (int)part->rows[0].request_id.len,
                 part->rows[0].request_id.at);
    } else if (part->len && !pass->first[0]) {
        snprintf(pass->first, sizeof pass->first, "task %lld",
                 (long long)part->rows[0].task);
    }
    for (size_t i = 0; i < part->len; i++) {
        name(unreadable, &part->rows[i]);
    }
}

/** All was seen, or nothing of it counts any more. */
static void begin_anew(struct unreadable *unreadable,
                       const struct unreadable_pass *seen)
{
    unreadable->last = *seen;
    unreadable->pass = (struct unreadable_pass){0};
    metric_set(unreadable->gauge, (double)unreadable->last.rows);
}

/** From now. */
static int64_t rest_ms(int64_t took_ms, int64_t least_ms)
{
    int64_t wait_ms = took_ms * LOOK_REST;
    wait_ms = wait_ms > least_ms ? wait_ms : least_ms;
    return wait_ms < LOOK_EVERY_MAX_MS ? wait_ms : LOOK_EVERY_MAX_MS;
}

static void on_rows(void *context, const struct unreadable_part *part,
                    const struct err *err)
{
    struct unreadable *unreadable = context;
    const int64_t boot_ms = loop_boot_ms(unreadable->engine->edges.loop);
    const int64_t took_ms = boot_ms - unreadable->asked_ms;
    assert(unreadable->looking);
    unreadable->looking = false;
    if (err) { /* the next look will do */
        unreadable->due_ms = boot_ms + LOOK_EVERY_MS;
        return;
    }
    struct unreadable_pass *pass = &unreadable->pass;
    take(unreadable, part);
    pass->took_ms += took_ms;
    if (part->last || !pass->waiting) {
        pass->waiting = pass->waiting || !part->last;
        unreadable->due_ms = boot_ms + rest_ms(took_ms, 0) / PARTS_REST;
        return;
    }
    unreadable->due_ms = boot_ms + rest_ms(pass->took_ms, LOOK_EVERY_MS);
    begin_anew(unreadable, pass);
    /* Somebody may have mended one whose worker's lease is long forgotten:
     * nothing else would lead to it. */
    engine_want_adopts(unreadable->engine);
}

void unreadable_look(struct unreadable *unreadable, bool ours)
{
    static const struct unreadable_pass nothing;
    struct engine *engine = unreadable->engine;
    int64_t boot_ms = loop_boot_ms(engine->edges.loop);
    if (!ours) {
        begin_anew(unreadable, &nothing);
        unreadable->due_ms = 0;
    } else if (!unreadable->due_ms) {
        unreadable->due_ms = boot_ms + LOOK_FIRST_MS;
    } else if (!unreadable->looking && boot_ms >= unreadable->due_ms) {
        unreadable->looking = true;
        unreadable->asked_ms = boot_ms;
        const struct unreadable_pass *pass = &unreadable->pass;
        const struct unreadable_ask ask = {
            .waiting = pass->waiting,
            .owner = engine->turns.owner,
            .after = pass->after,
            .part_max = pass->waiting ? PART_WAITING_MAX : PART_MAX,
            .rows_max = UNREADABLE_NAMED_MAX,
        };
        store_unreadable(engine->edges.store, &ask, on_rows, unreadable);
    }
}
