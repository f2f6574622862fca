#ifndef EDGE_POLL_NAMES_H
#define EDGE_POLL_NAMES_H

#include "edge/poll/lookup.h"

/**
 * The addresses that a host's name stands for, and which of them is dialed
 * next. Each answer of the resolver replaces them all, and a connection may
 * take 10 s to open: a place among them would be another's by then, or
 * nobody's. Whoever dials one keeps the address itself.
 */
struct names {
    struct lookup_answer found; /* len 0: not known, or there are none */
    int64_t until_ms;           /* from then on they are asked for again */
    int next;                   /* the one to dial */
    sa_family_t family;         /* of the last that was reached; 0: none */
    /* Which of them could not be dialed since one was reached. */
    bool failed[LOOKUP_ADDRESSES_MAX];
};

/** The first of these is next, of the family that was reached last if there is
 * one: the way to another may swallow what is sent. None of them has failed. */
void names_set(struct names *names, const struct lookup_answer *found,
               int64_t until_ms);

/** Whether there are some to be dialed, none of them too old. */
bool names_are_known(const struct names *names, int64_t now_ms);

/** The one to dial; one is left. It lasts until they are set. */
const union lookup_address *names_next(const struct names *names);

bool names_next_is(const struct names *names,
                   const union lookup_address *address);

/** Of those that are left, the one after it is next. */
void names_pass(struct names *names);

/** How many of them have not failed. */
int names_left(const struct names *names);

/**
 * This one can't be dialed, if it is still one of them: however many dials end
 * so, it has failed once. Another one is next, as long as one is left; where
 * none is, all are to be asked for again, since they may have moved.
 */
void names_fail(struct names *names, const union lookup_address *address);

/** This one was reached: if it is still one of them, it is next. Those that
 * failed may be tried again. */
void names_reach(struct names *names, const union lookup_address *address);

#endif
