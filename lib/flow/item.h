#ifndef FLOW_ITEM_H
#define FLOW_ITEM_H

#include "core/request.h"
#include "flow/intake.h"

/** What is left out of a rejection that is too large for its topic. */
enum cut { CUT_NOTHING, CUT_VALUE, CUT_KEY /* and its own headers, too */ };

/** One message on its way through the intake. */
struct item {
    struct list link;
    struct intake *intake;
    struct message *message; /* whole until it is dealt with: a rejection
                                repeats it, and only the store finds an id that
                                is used again */
    size_t bytes;            /* as it weighs in intake->bytes */
    struct arena arena;      /* of the request; empty until it is read */
    struct request request;
    const char *error;        /* rejecting: the header `error` */
    enum cut cut;             /* rejecting: the broker takes no such value */
    struct loop_timer *retry; /* rejecting: the broker had no time */
};

/** Weighed. null: no memory. */
struct item *item_new(struct intake *intake, struct message *message);

/** Weigh it again, after what it holds has changed. */
void item_weigh(struct item *item);

/** The message is the caller's. */
void item_free(struct item *item);

#endif
