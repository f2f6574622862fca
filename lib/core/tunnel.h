#ifndef CORE_TUNNEL_H
#define CORE_TUNNEL_H

#include "base/proxy.h"

/** The way through a proxy: CONNECT, as it is asked for and answered (RFC 9110
 * 9.3.6). */

#define TUNNEL_HEAD_BYTES_MAX 16384 /* of an answer */

/** @param authority  host:port of who is behind it. */
void tunnel_ask(const struct proxy *proxy, struct str authority,
                struct buf *out);

enum tunnel_read {
    TUNNEL_MORE, /* the answer isn't whole yet */
    TUNNEL_OPEN, /* what follows is the host's */
    TUNNEL_REFUSED,
    TUNNEL_BROKEN, /* no HTTP, too long, or bytes behind it that nobody can
                      have sent yet */
};

/**
 * @param bytes   All that has come so far.
 * @param status  Of OPEN and REFUSED.
 */
enum tunnel_read tunnel_read(struct str bytes, int *status);

/** The status of a line that begins a reply, such as "HTTP/1.1 407 No"; 0: it
 * is no such line. */
int tunnel_status(struct str line);

/**
 * What a refusal means and what to do about it, in words without a secret.
 *
 * @param host  Who was to be reached: host or host:port.
 */
void tunnel_words(const struct proxy *proxy, struct str host, int status,
                  char *out, size_t out_bytes);

#endif
