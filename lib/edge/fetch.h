#ifndef EDGE_FETCH_H
#define EDGE_FETCH_H

#include "base/err.h"
#include "core/exchange.h"
#include "edge/loop.h"

/**
 * Streams a body from a host that a stranger named. Addresses are checked at
 * connect time, every redirect again (at most 3); no key is ever sent; one
 * connection pool of its own, HTTP/1.1. A content coding that nobody asked for
 * is undone if the bytes are in one, whatever the label says.
 */
struct fetcher;
struct fetch;
struct proxy;

struct fetcher_options {
    bool allow_private;  /* DOWNLOAD_PRIVATE */
    int64_t bytes_max;   /* a longer body is cut off */
    const char *ca_file; /* null: the system's */
    int64_t window_ms;   /* of the least rate; 0: a minute */
    /* Null: none; lives longer. Whom it leads to it alone can tell: addresses
     * are checked here only where a URL writes one. */
    const struct proxy *proxy;
};

/** How a stream ended. */
struct fetch_end {
    enum reply_end end; /* REPLY_WHOLE: by length, or by close without one */
    int status;         /* of the last hop; 0: none */
    bool forbidden;     /* the URL or an address is not allowed */
    int64_t bytes;      /* of the body, handed to on_data */
    /* Announced; -1: not. Of a body whose coding was undone, the bytes, once
     * the coded stream came to its own end. */
    int64_t length;
    bool delimited;              /* sent in chunks: its last one told the end */
    int64_t retry_after_ms_hint; /* 0: none; seconds form only */
    char why[160];
};

struct fetch_hooks {
    /** Status 2xx (of 206 only one that brings all) and the headers are there;
     * false refuses the body. */
    bool (*on_head)(void *context, int status, int64_t length,
                    struct str content_type);
    /** false: pause after these bytes (they are taken) until fetch_resume(). */
    bool (*on_data)(void *context, const char *bytes, size_t len);
    /** Less than 4 KiB a second came for a minute: true bears it for one more,
     * false ends it as REPLY_TIMED_OUT. Null: false. */
    bool (*on_slow)(void *context);
    /** Exactly once, after fetch_start() has returned. The fetch is gone. */
    void (*on_end)(void *context, const struct fetch_end *end);
};

struct fetcher *fetcher_open(struct loop *loop,
                             const struct fetcher_options *options,
                             struct err *err);

/**
 * @param stall_ms  No byte for so long ends it (time paused by us apart).
 * @return          null, with *err set, if nothing was started. ERR_PERMANENT:
 *                  the URL is not allowed.
 */
struct fetch *fetch_start(struct fetcher *fetcher, struct str url,
                          int64_t connect_ms, int64_t stall_ms,
                          const struct fetch_hooks *hooks, void *context,
                          struct err *err);

/** Not from within a hook of the same fetch. */
void fetch_resume(struct fetch *fetch);

/** on_end still comes, with REPLY_CANCELLED. Not from within a hook. */
void fetch_cancel(struct fetch *fetch);

/** Cancels all that is under way, then frees. */
void fetcher_close(struct fetcher *fetcher);

#endif
