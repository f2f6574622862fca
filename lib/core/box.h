#ifndef CORE_BOX_H
#define CORE_BOX_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * The boxes of an MP4 (ISO/IEC 14496-12, 4.2) that lie in memory, and the big
 * endian numbers in them. Whatever a stranger wrote there, nothing behind the
 * text is read: a number that isn't there is 0, a box that isn't whole is none.
 */

/** Bytes that are read from the front. */
struct box_reader {
    struct str rest;
    bool is_short; /* more was asked than there was */
};

struct box {
    char type[5];
    struct str body; /* behind its head */
};

/** The next number of `len` bytes, at most 8. */
uint64_t box_take(struct box_reader *reader, size_t len);

void box_skip(struct box_reader *reader, size_t len);

/** The next box, cut off the front. False: there is none, or no whole one. */
bool box_next(struct box_reader *reader, struct box *box);

bool box_is(const struct box *box, const char *type);

/** The body of the first box of that path ("mdia/minf/stbl"); absent: none. */
struct str box_find(struct str body, const char *path);

#endif
