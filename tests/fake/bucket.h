#ifndef FAKE_BUCKET_H
#define FAKE_BUCKET_H

#include "fake/world.h"

/** Storage that all workers share: objects that are never replaced. */
struct object {
    char *key;
    char *bytes;
    size_t len;
};

struct storage {
    struct world *world;
    struct object *objects;
    size_t len;
    struct list uploads; /* begun, and neither shown nor given up */
    bool full;           /* BUCKET_UNUSABLE to all that want to write */
    bool early;          /* says what is there before it has read what comes */
    int chaos;           /* puts in a thousand that fail */
    int expected;        /* objects that were said to come */
};

struct storage *storage_open(struct world *world);
void storage_close(struct storage *storage);
const struct object *storage_find(const struct storage *storage,
                                  const char *key);

/** A key under which somebody began and nothing was ever shown; or null. */
const char *storage_left(const struct storage *storage);

#endif
