#ifndef PIXVERSE_CTL_MANY_H
#define PIXVERSE_CTL_MANY_H

#include "confirm.h"
#include "core/task.h"
#include "filter.h"

/**
 * An order about all requests that fit a filter: looked for, judged, counted,
 * asked for; then given in batches of one transaction each, in which each
 * request is locked, looked at and judged again. Newest first, so that a run
 * that was interrupted goes on behind the last.
 */

/* clang-format off */
#define MANY_OPTIONS                                                           \
    {"--after", "REQUEST-ID", "by filter: go on behind that one, where a run ended before", false}, \
    {"--limit", "N", "by filter: at most so many, the newest first; default and most 100000", false}
/* clang-format on */

/** Ids, or a filter: never both, never neither. */
enum many_by { MANY_BY_ID, MANY_BY_FILTER, MANY_BY_NOTHING };

/** @param most    Of ids.
 *  @param status  Set with MANY_BY_NOTHING, after saying what is wrong. */
enum many_by many_by(const struct options *given, const char *command,
                     size_t most, int *status);

enum verdict {
    VERDICT_DO,
    VERDICT_LEFT,      /* it is meant, and can't be done: why is said */
    VERDICT_NOT_MEANT, /* what the filter has beside those that are meant */
};

#define WHY_BYTES 256

struct many_item {
    int64_t id;
    char *request_id;
    bool ordered;
    enum task_state state; /* of one that is ordered: which the order met */
};

struct many {
    struct ctl *ctl;
    const struct options *given;
    const char *command;   /* also the verb: "cancel 3 requests" */
    const char *done;      /* "3 <done>" */
    const char *not_meant; /* "3 <not_meant>" */
    bool told_later;       /* the caller says what came of those ordered */
    void *context;         /* of the functions */

    /** What is to be done with it (ctl_order's row); why: goes on behind its
     * id, as "is running". */
    enum verdict (*judge)(void *context, const json_t *row,
                          char why[WHY_BYTES]);
    /** Called for each to be done, before anybody is asked; null: none. */
    void (*count)(void *context, const json_t *row);
    /** Lines that say what it may cost; false after saying why it failed. */
    bool (*cost)(void *context, FILE *out);
    /** Within the transaction: rows written; -1 after saying why. */
    int (*write)(void *context, const json_t *row);

    /* Found: the caller's to read. */
    struct many_item *all;
    size_t len;
    size_t room;
    json_t *left; /* why: {"n":3,"ids":[…]} */
    size_t left_len;
    size_t not_meant_len;
    size_t ordered_len;
};

/**
 * @return  EXIT_DONE; EXIT_LEFT: some of those that are meant were left out,
 *          and why was said; EXIT_FAILED after saying why and how to go on.
 */
int many_run(struct many *many, const struct filter *filter);

void many_done(struct many *many);

/**
 * Count one under a text: {"<text>":{"n":3,"ids":["a","b","c"]}}; a few ids are
 * kept.
 */
void groups_add(json_t *groups, const char *text, const char *id);

/** A line for each: "3 <before><text>: a, b and 1 more". */
void groups_print(FILE *out, const json_t *groups, const char *before);

#endif
