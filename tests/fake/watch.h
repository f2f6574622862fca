#ifndef FAKE_WATCH_H
#define FAKE_WATCH_H

#include "fake/world.h"

#include <stdio.h>

/**
 * Looks at the world after every turn, so that what may never be is seen when
 * it comes to be and not only in the end: a second purchase, a fence that goes
 * back, a provider id that changes, a row that is closed with nothing told, an
 * offset that is ahead of the rows, an object that is gone.
 */
struct watch;

/** From now on, until watch_close(). */
struct watch *watch_open(struct world *world);
void watch_close(struct watch *watch);

/** Count a fault that was made to strike, over all worlds. */
void struck(const char *kind);

/** "kind":count, of all that struck. */
void struck_write(FILE *out);

#endif
