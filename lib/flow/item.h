#ifndef FLOW_ITEM_H
#define FLOW_ITEM_H

#include "base/list.h"
#include "core/apimart.h"
#include "core/request.h"
#include "edge/consumer.h"
#include "edge/loop.h"

/** What is left out of a rejection that is too large for its topic. */
enum cut { CUT_NOTHING, CUT_VALUE, CUT_KEY /* and its own headers, too */ };

struct rejects;

/** One message on its way through the intake. */
struct item {
    struct list link;
    uint64_t came;          /* its number among all messages that came */
    int64_t *waiting_bytes; /* the sum that it is weighed into */
    /* whole until it is dealt with: a rejection repeats it, and only the
     * store finds an id that is used again */
    struct message *message;
    size_t bytes;       /* as it weighs in that sum */
    struct arena arena; /* of the request; empty until it is read */
    struct request request;
    bool read;                        /* the request is there */
    char account[ACCOUNT_NAME_BYTES]; /* that has what it extends */
    int64_t source_until_ms;  /* boot clock: until then what it extends may
                                 still get finished; 0: not asked yet */
    struct item *next_aside;  /* aside: the next in its chain */
    struct rejects *rejects;  /* rejecting: by these */
    const char *error;        /* rejecting: the header `error` */
    enum cut cut;             /* rejecting: the broker takes no such value */
    struct loop_timer *retry; /* rejecting: the broker had no time */
};

/** Weighed into that sum, which outlives it. null: no memory. */
struct item *item_new(int64_t *waiting_bytes, struct message *message);

/** Of a request id: FNV-1a, never 0. */
uint64_t item_id_hash(struct str request_id);

/** Weigh it again, after what it holds has changed. */
void item_weigh(struct item *item);

/** The message is the caller's. */
void item_free(struct item *item);

#endif
