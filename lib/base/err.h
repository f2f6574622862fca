#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

/** Callers must look at the result. */
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(form, first) __attribute__((format(printf, form, first)))

/** What the caller may do about a failure. */
enum err_kind {
    ERR_NONE,      /* nothing failed */
    ERR_TRANSIENT, /* the same may work later */
    ERR_PERMANENT, /* the same will fail again: settle it as failed */
    ERR_FATAL,     /* this process can't go on: drain and exit */
};

/**
 * A failure in words. Made where the cause is understood, passed upwards as
 * the last argument, logged only by flow/ and cmd/. Never holds a secret.
 */
struct err {
    enum err_kind kind;
    char text[500]; /* one sentence, without a full stop; cut if too long */
};

/** Set *err (may be null) and return false, so that `return err_set(…)` reads
 * well. */
bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
    PRINTF_LIKE(3, 4);

/** Put "context: " before the text that is there; returns false. */
bool err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

const char *err_kind_name(enum err_kind kind);

#endif
