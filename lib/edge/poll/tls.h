#ifndef EDGE_POLL_TLS_H
#define EDGE_POLL_TLS_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * TLS over a socket that does not block: OpenSSL, as strict as libcurl is with
 * it (1.2 at least, the chain and the name or address of the host). Types of
 * OpenSSL stay in tls.c.
 */
struct tls_context;
struct tls;

#define IO_AGAIN (-1)  /* later: it waits for the socket */
#define IO_FAILED (-2) /* words in `why` */

enum tls_shaken {
    TLS_DONE,
    TLS_WANTS_READ,
    TLS_WANTS_WRITE,
    TLS_UNTRUSTED, /* the certificate; words in `why` */
    TLS_FAILED,    /* anything else; words in `why` */
};

/** Null, with words in `why`: the CAs can't be read, or there is no memory. */
struct tls_context *tls_context_open(const char *ca_file, const char *ca_folder,
                                     char *why, size_t why_bytes);
void tls_context_close(struct tls_context *context); /* null: accepted */

/**
 * @param host  A name, or an address without brackets.
 * @return      null: no memory.
 */
struct tls *tls_open(struct tls_context *context, int fd, const char *host);

/** The same to a proxy, with which nothing but HTTP/1.1 is spoken. */
struct tls *tls_open_proxy(struct tls_context *context, int fd,
                           const char *host);

/** HTTP/1.1 alone shall be spoken in it; false: no memory. */
bool tls_no_h2(struct tls *tls);

/**
 * The same inside of another's TLS.
 *
 * @param under  Closed with it; null returned: as it was.
 */
struct tls *tls_open_inside(struct tls_context *context, struct tls *under,
                            const char *host);
void tls_close(struct tls *tls); /* says goodbye; null: accepted */

enum tls_shaken tls_shake(struct tls *tls, char *why, size_t why_bytes);

/** The server chose HTTP/2. */
bool tls_speaks_h2(const struct tls *tls);

/** What it reads into and writes from is kept between them: for a connection
 * that is never idle for long. */
void tls_keep_buffers(struct tls *tls);

/** @return  Bytes; 0: an orderly end; IO_AGAIN, IO_FAILED. */
ssize_t tls_read(struct tls *tls, char *out, size_t room, char *why,
                 size_t why_bytes);
ssize_t tls_write(struct tls *tls, struct str bytes, char *why,
                  size_t why_bytes);

/** Bytes have been taken from the socket and not been read, or its end has not
 * been told. */
bool tls_holds_bytes(const struct tls *tls);

#endif
