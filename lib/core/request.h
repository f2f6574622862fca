#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include "base/arena.h"
#include "base/str.h"
#include "core/detail.h"
#include "core/digest.h"
#include "core/price.h"
#include "core/request_mode.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * What came in on the request topic, read and judged (CONTRACT "JSON in",
 * "Request" and "Cancel"; the provider's rules: apimart.md "Submit"). Pure:
 * bytes in, a request or all its faults out.
 */

#define REQUEST_BYTES_MAX (1 << 20)

/** Why a message names no request; the `error` header of the rejected topic. */
#define REQUEST_REJECTS(X)                                                     \
    X(REQUEST_NAMED, "") /* not rejected: it has a usable id */                \
    X(REQUEST_NOT_JSON, "not_json")                                            \
    X(REQUEST_TOO_LARGE, "too_large")                                          \
    X(REQUEST_NO_REQUEST_ID, "no_request_id")                                  \
    X(REQUEST_BAD_REQUEST_ID, "bad_request_id")                                \
    X(REQUEST_ID_REUSED, "request_id_reused") /* found by the store */         \
    X(REQUEST_TOO_OLD, "too_old")             /* found by the store */         \
    X(REQUEST_BAD_CANCEL, "bad_cancel")                                        \
    X(REQUEST_CANCEL_TENANT, "cancel_other_tenant") /* found by the store */   \
    X(REQUEST_CANCEL_LATE, "cancel_too_late")       /* found by the store */

enum request_reject {
#define X(name, text) name,
    REQUEST_REJECTS(X)
#undef X
        REQUEST_REJECTS_LEN
};

/** All slices live in the arena that request_read() was given. */
struct request {
    enum request_reject reject; /* other than REQUEST_NAMED: only this holds */
    struct str why;             /* not_json, bad_cancel: what is wrong; ASCII */
    struct str request_id;
    bool cancel;       /* an order to cancel that one: else only tenant holds */
    struct str tenant; /* absent if it was faulty; "default" if missing */
    enum request_mode mode;   /* MODE_NONE if it could not be told */
    int priority;             /* 0..9 */
    int64_t deadline_seconds; /* 0: none given */
    struct str metadata;      /* compact JSON object, or absent */
    struct str account; /* MODE_EXTEND: which has the task, if it isn't one of
                           ours; absent: none given */
    struct str body; /* the bytes that every send will use; absent if faulty */
    struct price_like like; /* with a body: what its price depends on */
    /* MODE_EXTEND: one of both; absent in all others */
    struct str extend_from_task_id;
    struct str extend_from_request_id; /* our own: body lacks it (source.h) */
    /* of tenant and request as JSON values */
    unsigned char content[DIGEST_BYTES];
    struct details faults; /* none: the request is good */
    struct details warnings;
};

/**
 * Read one message.
 *
 * @param value  The message's value, framed as Confluent's serializers do or
 *               not; absent (a tombstone) is not_json.
 * @param arena  Where everything in *request lives.
 * @return       false only without memory; then *request is untouched.
 */
bool request_read(struct str value, struct arena *arena,
                  struct request *request);

/** Add a fault that only the store could see, such as a source that failed. */
void request_add_fault(struct request *request, struct arena *arena,
                       const char *field, const char *code,
                       const char *message);

/** The same for a warning. */
void request_add_warning(struct request *request, struct arena *arena,
                         const char *field, const char *code,
                         const char *message);

/** The message of its first fault; absent: it has none. */
struct str request_first_fault(const struct request *request);

const char *request_reject_name(enum request_reject reject);

#endif
