#ifndef SIM_ENDS_H
#define SIM_ENDS_H

#include "fake/kafka.h"
#include "fake/store.h"

#include <string.h>

/* Three accounts, and how the workers have them later on: one of them has
 * another key. What stands before the dot is whose. */
#define ENDS_ACCOUNTS                                                          \
    "[{\"name\":\"a\",\"key\":\"a.1\"},"                                       \
    "{\"name\":\"b\",\"key\":\"b\",\"slots\":4},"                              \
    "{\"name\":\"c\",\"key\":\"c\",\"weight\":2}]"
#define ENDS_ROTATED                                                           \
    "[{\"name\":\"c\",\"key\":\"c\",\"weight\":2},"                            \
    "{\"name\":\"a\",\"key\":\"a.2\",\"old_keys\":[\"a.1\"]},"                 \
    "{\"name\":\"b\",\"key\":\"b\",\"slots\":4}]"

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
