#ifndef BASE_MUST_H
#define BASE_MUST_H

#include <stddef.h>

/**
 * Small memory that must be there, since without it somebody would wait for an
 * answer for ever: the records of calls under way. Where malloc() has none,
 * they come out of a reserve of MUST_SLOTS pieces. Any thread may ask.
 */
#define MUST_SLOTS 64
#define MUST_BYTES_MAX 5120

/** A zeroed struct; never null: with the reserve used up, too, the process
 * ends, and others take its tasks over. Given back with must_free(). */
#define MUST_NEW(type)                                                         \
    ((type *)must_calloc(sizeof(type) / (sizeof(type) <= MUST_BYTES_MAX)))

void *must_calloc(size_t bytes);
void must_free(void *at); /* null is accepted */

#endif
