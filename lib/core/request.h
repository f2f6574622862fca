#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include "base/arena.h"
#include "base/str.h"
#include "core/digest.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * What came in on the request topic, read and judged (CONTRACT "JSON in" and
 * "Request"; the provider's rules: apimart.md "Submit"). Pure: bytes in, a
 * request or all its faults out.
 */

#define REQUEST_BYTES_MAX (1 << 20)
#define REQUEST_DETAILS_MAX 100 /* the last one counts the rest */

/* clang-format off */
#define REQUEST_MODES(X)                                                       \
    X(MODE_NONE, "")                                                           \
    X(MODE_TEXT, "text_to_video")                                              \
    X(MODE_IMAGE, "image_to_video")                                            \
    X(MODE_TRANSITION, "transition")                                           \
    X(MODE_FUSION, "fusion")                                                   \
    X(MODE_EXTEND, "extend")
/* clang-format on */

enum request_mode {
#define X(name, text) name,
    REQUEST_MODES(X)
#undef X
};

/** Why a message names no request; the `error` header of the rejected topic. */
enum request_reject {
    REQUEST_NAMED,          /* not rejected: it has a usable id */
    REQUEST_NOT_JSON,       /* not_json */
    REQUEST_TOO_LARGE,      /* too_large */
    REQUEST_NO_REQUEST_ID,  /* no_request_id */
    REQUEST_BAD_REQUEST_ID, /* bad_request_id */
    REQUEST_ID_REUSED,      /* request_id_reused: found by the store */
};

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

/** All slices live in the arena that request_read() was given. */
struct request {
    enum request_reject reject; /* other than REQUEST_NAMED: only this holds */
    struct str why;             /* not_json: what is wrong, and where; ASCII */
    struct str request_id;
    struct str tenant;      /* absent if it was faulty; "default" if missing */
    enum request_mode mode; /* MODE_NONE if it could not be told */
    int priority;           /* 0..9 */
    int64_t deadline_seconds; /* 0: none given */
    struct str metadata;      /* compact JSON object, or absent */
    struct str body; /* the bytes that every send will use; absent if faulty */
    struct str extend_from_task_id; /* absent but in MODE_EXTEND */
    /* of tenant and request as JSON values */
    unsigned char content[DIGEST_BYTES];
    struct details faults; /* none: the request is good */
    struct details warnings;
};

/**
 * Read one message.
 *
 * @param value  The message's value; absent (a tombstone) is not_json.
 * @param arena  Where everything in *request lives.
 * @return       false only without memory; then *request is untouched.
 */
bool request_read(struct str value, struct arena *arena,
                  struct request *request);

/** Add a fault that only the store could see, such as a source that failed. */
void request_add_fault(struct request *request, struct arena *arena,
                       const char *field, const char *code,
                       const char *message);

/** Details as a JSON array, in the shape of `details` and `warnings`. */
struct str details_to_json(const struct details *details, struct arena *arena);

const char *request_mode_name(enum request_mode mode);
enum request_mode request_mode_parse(struct str name); /* MODE_NONE: unknown */
/** The message of its first fault; absent: it has none. */
struct str request_first_fault(const struct request *request);

const char *request_reject_name(enum request_reject reject);

#endif
