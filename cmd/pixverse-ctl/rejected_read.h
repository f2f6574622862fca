#ifndef PIXVERSE_CTL_REJECTED_READ_H
#define PIXVERSE_CTL_REJECTED_READ_H

#include "base/arena.h"
#include "ctl.h"
#include "edge/producer.h"

/** One message of the rejected topic. */
struct rejected {
    int32_t partition;
    int64_t offset;
    int64_t produced_ms;
    json_t *about; /* for people and tools */
    /* The message that was rejected, without what was added to it; only
     * where it was asked for. */
    struct outgoing original;
    bool dropped; /* its value or key was too large for the rejected topic */
    bool replayed;
};

struct rejecteds {
    struct rejected *all; /* oldest first */
    size_t len;
    size_t size;
    int64_t older;      /* not looked at: beyond what was to be */
    size_t left;        /* fit, and had no room */
    bool failed;        /* no memory */
    struct arena arena; /* of the originals */
    /* what was asked for */
    const char *error; /* null: all */
    bool whole;        /* with the originals */
    int64_t bytes;     /* of these */
};

/** What to read: `partition` and `offset` of one message, or -1 both. */
struct rejected_ask {
    int64_t since_ms;
    int64_t messages_max;
    int32_t partition;
    int64_t offset;
};

/** Read the topic; false after saying why not. rejecteds_done() in any case. */
bool rejecteds_read(struct ctl *ctl, struct rejecteds *found,
                    const struct rejected_ask *ask);
void rejecteds_sort(struct rejecteds *found);
void rejecteds_init(struct rejecteds *found);
void rejecteds_done(struct rejecteds *found);

#endif
