#ifndef EDGE_PAGES_H
#define EDGE_PAGES_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A server of pages for people: questions are answered by the caller on the
 * connection's own thread, and may block there. For commands: the worker's own
 * port is edge/admin.h. What is said of a page besides (who may frame it, what
 * it may load) is the same for all, and said here.
 */
struct pages;

/** One question; valid until its answer was given. */
struct page_ask {
    const char *method; /* "GET", "POST"; HEAD comes as GET */
    const char *path;   /* decoded, without the query */
    struct str body;    /* of a POST; absent: none */
    const char *from;   /* the peer's address */
    void *own;
};

/** A parameter of the query, decoded; null: not there. */
const char *page_query(const struct page_ask *ask, const char *name);

/** Each of them, in their order; a name may come twice. */
void page_each_query(const struct page_ask *ask,
                     void (*fn)(void *context, const char *name,
                                const char *value),
                     void *context);

const char *page_header(const struct page_ask *ask, const char *name);
const char *page_cookie(const struct page_ask *ask, const char *name);

/**
 * More of an endless answer. May block for a second.
 *
 * @return  Bytes written, more than 0; -1: this was all.
 */
typedef ptrdiff_t page_stream_fn(void *stream, char *out, size_t out_bytes);

struct page_answer {
    int status;               /* 200 at first */
    const char *content_type; /* a constant */
    struct buf *body;
    const char *cookie; /* of Set-Cookie; null: none. Kept until the answer */
    char *location;     /* of a redirect; owned by the answer: malloc */
    /* In the place of body: a file, closed by the answer, of which the reader
     * may ask for a range; below 0: none */
    int file;
    uint64_t file_bytes;
    /* In the place of body: what never ends */
    page_stream_fn *stream;
    void *stream_own;
    void (*stream_end)(void *stream_own);
};

typedef void pages_fn(void *context, const struct page_ask *ask,
                      struct page_answer *answer);

struct pages_options {
    const char *listen;         /* "host:port"; port 0 takes a free one */
    const char *content_policy; /* of Content-Security-Policy */
    size_t body_bytes_max;      /* a longer POST gets 413 */
    pages_fn *answer;           /* from several threads at once */
    void *context;
};

/** null with *err: can't listen there. */
struct pages *pages_open(const struct pages_options *options, struct err *err);
int pages_port(const struct pages *pages);

/** Waits for the answers under way. */
void pages_close(struct pages *pages);

/**
 * The range that "bytes=…" asks of so many bytes.
 *
 * @return  206 with *first and *len; 200: all of it (no range, or one that
 *          isn't understood); 416: none of it is there.
 */
int page_range(const char *header, uint64_t bytes, uint64_t *first,
               uint64_t *len);

#endif
