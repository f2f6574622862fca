#ifndef SIM_ENDS_H
#define SIM_ENDS_H

#include "fake/kafka.h"
#include "fake/store.h"
#include "fake/watch.h"

#include <string.h>

/* Three accounts, and how the workers have them later on: one of them has
 * another key. What stands before the dot is whose. */
#define ENDS_SLOTS 4 /* of b */
#define ENDS_ACCOUNTS                                                          \
    "[{\"name\":\"a\",\"key\":\"a.1\"},"                                       \
    "{\"name\":\"b\",\"key\":\"b\",\"slots\":4,\"slots_min\":1},"              \
    "{\"name\":\"c\",\"key\":\"c\",\"weight\":2}]"
#define ENDS_ROTATED                                                           \
    "[{\"name\":\"c\",\"key\":\"c\",\"weight\":2},"                            \
    "{\"name\":\"a\",\"key\":\"a.2\",\"old_keys\":[\"a.1\"]},"                 \
    "{\"name\":\"b\",\"key\":\"b\",\"slots\":4,\"slots_min\":1}]"

/** Whose slots as learnt are out of bounds: of b they are, of the others
 * nothing is; null: nobody's. */
static inline const char *ends_limit_beyond(const struct tables *tables)
{
    if (tables->limits_written) {
        struck("fewer slots learnt");
    }
    for (size_t i = 0; i < tables->accounts_len; i++) {
        const struct account_of_all *of = &tables->accounts[i];
        const int most = of->account[0] == 'b' ? ENDS_SLOTS - 1 : 0;
        if (of->limit.slots < 0 || of->limit.slots > most) {
            return of->account;
        }
    }
    return NULL;
}

/** What the events say of a request's end. */

struct seen {
    const struct record *first; /* the first event, of whatever kind */
    const struct record *late;  /* a completed one after a failed one */
};

static inline bool says(const struct record *record, const char *words)
{
    return strstr(record->value, words) || strstr(record->headers, words);
}

static inline bool leaves_open(const struct record *record)
{
    return says(record, "\"kind\":\"timed_out\"") ||
           says(record, "\"kind\":\"submit_unknown\"") ||
           says(record, "\"kind\":\"task_lost\"");
}

/** An operator's order was obeyed. */
static inline bool is_cancelled(const struct record_of *record,
                                const struct record *end)
{
    return record->ordered && says(end, "\"kind\":\"cancelled\"");
}

static inline bool is_same(const struct record *a, const struct record *b)
{
    return strcmp(a->value, b->value) == 0 &&
           strcmp(a->headers, b->headers) == 0;
}

#endif
