#ifndef CORE_DETAIL_H
#define CORE_DETAIL_H

#include "base/arena.h"
#include "base/str.h"

#include <stddef.h>

/** What is wrong with a request, or has no effect in it, as a list. */

#define REQUEST_DETAILS_MAX 100 /* the last one counts the rest */

/** One fault or warning: an element of `details` or `warnings`. */
struct detail {
    /* path without a leading "request.", such as image_urls[1] */
    struct str field;
    const char *code;   /* one of CONTRACT's codes */
    struct str message; /* says the value and what is allowed */
};

struct details {
    struct detail *items; /* at most REQUEST_DETAILS_MAX */
    size_t len;
};

/** Details as a JSON array, in the shape of `details` and `warnings`. */
struct str details_to_json(const struct details *details, struct arena *arena);

#endif
