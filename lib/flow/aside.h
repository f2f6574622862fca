#ifndef FLOW_ASIDE_H
#define FLOW_ASIDE_H

#include "flow/item.h"

#define ASIDE_PLACES 1024

/**
 * Requests that wait for what they extend, and whatever of their ids came after
 * them: which of two messages of one id is the request, their order says.
 */
struct aside {
    struct list items; /* in the order in which they came */
    size_t len;
    struct item *by_id[ASIDE_PLACES]; /* chains, by hash of the request id */
};

void aside_init(struct aside *aside);

bool aside_is_empty(const struct aside *aside);

/** The item, which is read, is aside's from now on. */
void aside_add(struct aside *aside, struct item *item);

/** Whether one of its request id that came before it is aside. */
bool aside_is_before(const struct aside *aside, const struct item *item);

/** All, in order, in front of those of the list. Returns how many. */
size_t aside_give_back(struct aside *aside, struct list *waiting);

#endif
