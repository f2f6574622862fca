#ifndef FLOW_SHEET_H
#define FLOW_SHEET_H

#include "core/task.h"

/**
 * What a job keeps of its task while it waits for a poll: a sheet with the
 * names that the task goes by and, behind them, how the task differs from a
 * model, which is another task of its account. Most of what tasks hold they
 * have in common.
 */

enum sheet_name {
    NAME_REQUEST_ID,
    NAME_TENANT,
    NAME_TRACEPARENT,
    NAME_TRACESTATE,
    SHEET_NAMES,
};

#define MODELS_MAX 32 /* of more accounts and keys: zeros are the model */

struct sheet;
struct model;

/** Begins zeroed. */
struct models {
    struct model *all[MODELS_MAX]; /* null: not needed yet */
    size_t last;                   /* the one that was taken last */
    size_t usual;                  /* bytes that the last task took */
};

void models_done(struct models *models); /* no sheet holds a task any more */

/** names: copied. With room for a usual task. Freed by free(). null: no memory.
 */
struct sheet *sheet_new(const struct models *models,
                        const struct str names[SHEET_NAMES]);

/** Empty: none. Until the sheet is folded into, or freed. */
const char *sheet_name(const struct sheet *sheet, enum sheet_name name);

/** Puts the task into *sheet, which may move; false: no memory, and all is as
 * it was. Texts that the task owns are the sheet's from now on. */
bool sheet_fold(struct sheet **sheet, struct models *models,
                const struct task *task);

/** Takes it out again: the task as it was. */
void sheet_unfold(struct sheet *sheet, struct models *models,
                  struct task *task);

/** The memory that it takes. */
size_t sheet_bytes(const struct sheet *sheet);

#endif
