#ifndef SIM_REPLY_H
#define SIM_REPLY_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/** How the bytes of the body are announced. */
enum reply_length {
    LENGTH_TRUE,        /* Content-Length: what is sent */
    LENGTH_FALSE,       /* Content-Length: length_told */
    LENGTH_NONE,        /* nothing said; the end of the connection is the end */
    LENGTH_CHUNKED,     /* Transfer-Encoding: chunked */
    LENGTH_CHUNKED_BAD, /* the same, with a broken chunk in the middle */
};

/** What becomes of the connection once the reply is out. */
enum reply_end {
    END_KEEP,  /* kept alive, unless the client wants otherwise */
    END_CLOSE, /* closed in order */
    END_RESET, /* closed with RST */
    END_HANG,  /* left open, silent; after hang_ms (0: never) closed */
};

/**
 * Writes the bytes [offset, offset + len) of a body that is made as it is
 * sent. Called in order, without gaps.
 */
typedef void reply_fill_fn(void *context, uint64_t offset, char *out,
                           size_t len);
/** Called once per fill context; `whole` if every byte was handed out. */
typedef void reply_fill_done_fn(void *context, bool whole);

/**
 * An answer as data: handlers compose it, faults spoil it, the server sends
 * it. Memory is kept between uses (reply_reset).
 */
struct reply {
    int status;          /* 0: no answer at all, only the end */
    const char *type;    /* Content-Type; null: none */
    struct buf head;     /* further header lines, each with CRLF */
    struct buf body;     /* unless fill is set */
    reply_fill_fn *fill; /* makes the body instead */
    reply_fill_done_fn *fill_done;
    void *fill_context;      /* owned by the reply, freed by fill_done */
    uint64_t fill_bytes;     /* length of the body that fill makes */
    uint64_t body_bytes_max; /* cut the body here; UINT64_MAX: don't */
    enum reply_length length;
    uint64_t length_told;
    bool without_body;      /* HEAD: headers only */
    uint32_t informational; /* 1xx replies before this one */
    enum reply_end end;
    uint32_t hang_ms;
    uint32_t delay_ms; /* before the first byte */
    uint32_t pace_ms;  /* above 0: pace_bytes at a time */
    uint32_t pace_bytes;
    bool pace_head; /* the headers too */
};

void reply_init(struct reply *reply);
void reply_done(struct reply *reply);
void reply_reset(struct reply *reply); /* ends a fill that was not sent */

/** Drop the body, made or not. */
void reply_no_body(struct reply *reply);
/** Bytes of the body as it would be sent. */
uint64_t reply_body_bytes(const struct reply *reply);
/** Add the header line `name: value`. */
void reply_header(struct reply *reply, const char *name, const char *value);
const char *reply_reason(int status);

#endif
