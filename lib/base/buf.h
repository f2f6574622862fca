#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Bytes that grow up to a limit given at the start. Overflow and lack of
 * memory are sticky: later writes do nothing and `failed` stays set, so that
 * a sequence of writes may look once, at its end.
 */
struct buf {
    char *bytes; /* NUL-terminated whenever not null */
    size_t len;
    size_t size;
    size_t bytes_max; /* 0: no limit */
    bool failed;
};

void buf_init(struct buf *buf, size_t bytes_max);
void buf_done(struct buf *buf);
void buf_reset(struct buf *buf); /* keeps the memory; clears `failed` */

void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_add_str(struct buf *buf, struct str text);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_add_i64(struct buf *buf, int64_t value);
void buf_printf(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** A JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void buf_add_json(struct buf *buf, struct str text);

/** The shortest decimal digits that read back as the same double. */
void buf_add_double(struct buf *buf, double value);

/** Room for at least `bytes` more; null if there is none. Used with
 * buf_took(). */
char *buf_room(struct buf *buf, size_t bytes);
void buf_took(struct buf *buf, size_t bytes);

/** What is in it; valid until the next change. */
struct str buf_str(const struct buf *buf);

/** Hands the memory over to the caller, who frees it; null if failed. */
char *buf_take(struct buf *buf);

#endif
