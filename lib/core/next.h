#ifndef CORE_NEXT_H
#define CORE_NEXT_H

#include "core/outcome.h"
#include "core/task.h"

#include <stdbool.h>
#include <stdint.h>

/** What comes of an outcome: the next row, and what has to be done about it.
 * Rules (move.h) make it, task_step() returns it. */

/** The end of a failed task, as its event will tell it. */
struct failure {
    enum failure_kind kind;
    struct str message;
    int http_status;
    struct str provider_code;
};

struct step {
    struct task next; /* owns what task owned: use it in its place */
    int64_t due_ms;   /* when the effect of next's state is owed */
    bool save;        /* write the row before anything else happens */
    bool settles;     /* an event has to be rendered into that row */
    /* settles && next is FAILED; slices as the outcome's */
    struct failure failure;
    enum hold_reason hold; /* why it waits; HOLD_NONE: by its own clock */
    /* settles: how what was delivered differs from the order, bits of
     * core/delivery.h; set with the event */
    unsigned differs;
};

#endif
