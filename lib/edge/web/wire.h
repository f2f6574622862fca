#ifndef EDGE_WEB_WIRE_H
#define EDGE_WEB_WIRE_H

#include "base/err.h"
#include "base/str.h"
#include "edge/loop.h"

/**
 * HTTP calls with bodies that stream either way, for S3 and for where its
 * credentials come from. For the files of s3, and kafka's for the latter.
 */
struct wire;
struct wire_call;
struct proxy;

/** Fills `out`; 0: nothing now, wire_more() will tell. Never all at once past
 * the announced length. */
typedef size_t wire_source_fn(void *context, char *out, size_t room);

/** Takes a piece of a 2xx's body. */
typedef void wire_sink_fn(void *context, const char *bytes, size_t len);

struct wire_request {
    const char *method;
    const char *url;
    const char *const *headers; /* "name: value" */
    size_t headers_len;
    struct str body;        /* lives until the call has ended */
    wire_source_fn *source; /* instead of a body; null: none */
    int64_t source_bytes;   /* what it will give in all */
    wire_sink_fn *sink;     /* null: the body is collected */
    const char *ca_file;    /* null: the system's */
    bool direct;            /* past the proxy */
    int64_t connect_ms;
    int64_t stall_ms; /* without a byte either way, except for want of ours */
    /* Who moves bytes, but less than 4 KiB a second over such a time, is given
     * up; 0: a peer that may think for long, and drips meanwhile. */
    int64_t window_ms;
    int64_t whole_ms; /* for the whole call; 0: no limit */
};

struct wire_answer {
    bool whole; /* status and body came; else `why` says what happened */
    bool ours;  /* it came, but we could not keep or unpack it */
    int status;
    struct str body; /* until the callback returns; a coding is undone */
    char date[40];   /* headers; "": none */
    char etag[160];
    char length[24]; /* Content-Length */
    char region[64]; /* x-amz-bucket-region */
    char why[160];
};

typedef void wire_fn(void *context, const struct wire_answer *answer);

/** @param proxy  null: none; lives longer. */
struct wire *wire_open(struct loop *loop, int connections_max,
                       const struct proxy *proxy, struct err *err);

/**
 * @param request  Copied, but for the body.
 * @param on_end   Exactly once, after this has returned, unless dropped.
 * @return         null: no memory.
 */
struct wire_call *wire_start(struct wire *wire,
                             const struct wire_request *request,
                             wire_fn *on_end, void *context);

/** The source has more. */
void wire_more(struct wire_call *call);

/** Breaks the connection off; on_end doesn't come. Not from its callbacks. */
void wire_drop(struct wire_call *call);

void wire_close(
    struct wire *wire); /* drops what is under way; null: accepted */

#endif
