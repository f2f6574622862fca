#ifndef CORE_HTTP1_H
#define CORE_HTTP1_H

#include "base/buf.h"

/**
 * One reply of HTTP/1.1 (RFC 9112), read as its bytes come. What is short of
 * the grammar and still certain is taken (lines that end in LF alone or go on
 * in the next one, a blank before a colon, a length that is said twice, a reply
 * of HTTP/1.0); where two readers could see two bodies, it is broken.
 */

#define HTTP1_HEAD_BYTES_MAX                                                   \
    (64 * 1024) /* informational ones and trailers in */
#define HTTP1_BODY_BYTES_MAX (1 << 20)

enum http1_got {
    HTTP1_MORE,
    HTTP1_WHOLE,
    HTTP1_BROKEN,    /* `why` says how */
    HTTP1_TOO_LARGE, /* the body is over its limit */
};

enum http1_part {
    HTTP1_HEAD,
    HTTP1_BODY_LENGTH,
    HTTP1_BODY_TO_END, /* until the connection ends */
    HTTP1_CHUNK_SIZE,
    HTTP1_CHUNK,
    HTTP1_CHUNK_END,
    HTTP1_TRAILER,
    HTTP1_DONE,
};

/** The headers that somebody asks for. */
enum http1_name {
    HTTP1_CONNECTION,
    HTTP1_CONTENT_ENCODING,
    HTTP1_CONTENT_LENGTH,
    HTTP1_CONTENT_TYPE,
    HTTP1_IDEMPOTENCY_REPLAYED,
    HTTP1_RETRY_AFTER,
    HTTP1_TRANSFER_ENCODING,
    HTTP1_NAMES,
};

struct http1 {
    enum http1_part part;
    int status;      /* of the last head; 0: none yet */
    bool keeps;      /* the connection may carry another exchange */
    bool began;      /* a byte has come */
    struct buf head; /* its lines, each ended by NUL, as they come */
    struct buf body;
    size_t line_at;            /* in head: the line that comes */
    size_t first[HTTP1_NAMES]; /* in head: the first of that name; 0: none */
    size_t head_bytes;         /* taken for heads, chunk sizes and trailers */
    int64_t left;              /* of a body or chunk */
    const char *why;
};

void http1_init(struct http1 *reply);
void http1_done(struct http1 *reply);

/** Ready for the next reply; memory above a usual size is given back. */
void http1_begin(struct http1 *reply);

/**
 * @param bytes  Moves behind what was taken; what is left after HTTP1_WHOLE
 *               nobody asked for.
 */
enum http1_got http1_read(struct http1 *reply, struct str *bytes);

/** No more bytes come. */
enum http1_got http1_end(struct http1 *reply);

/**
 * For who looks for something in what can't be read as it should: the line that
 * broke it, or has begun, goes behind the body, then `rest`, as far as there is
 * room. Where a line stood between two parts of a body, a line's end does: its
 * two sides may look like one word, and that of nobody. May be called again.
 */
void http1_keep(struct http1 *reply, struct str rest);

/** Its body is as long as one may be, or there is no memory for more. */
bool http1_is_full(const struct http1 *reply);

/** The first header of that name in the last head; absent: none. */
struct str http1_header(const struct http1 *reply, enum http1_name name);

/** All of that name as one list, cut if too long; "": none. */
void http1_list(const struct http1 *reply, enum http1_name name, char *out,
                size_t out_bytes);

#endif
