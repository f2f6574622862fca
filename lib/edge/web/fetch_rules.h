#ifndef EDGE_WEB_FETCH_RULES_H
#define EDGE_WEB_FETCH_RULES_H

#include "base/str.h"

#include <stdbool.h>

struct sockaddr;

/**
 * Where a download may go. For fetch.c only. A fault is a sentence for people;
 * null: fine.
 *
 * @param allow_private  DOWNLOAD_PRIVATE.
 */

/** @param family  4 or 6. @param bytes  The address in network order. */
const char *fetch_address_fault(bool allow_private, int family,
                                const void *bytes);
const char *fetch_socket_fault(bool allow_private,
                               const struct sockaddr *address);

/** Of a host as a URL writes it: only an address can be judged. */
const char *fetch_host_fault(bool allow_private, struct str host);

/**
 * A URL, or a reference of `Location`, as it will be asked for: cleaned as a
 * browser does it, made absolute, and judged. The one parser that judges it is
 * the one that will use it.
 *
 * @param base   What the reference is relative to; null: it is absolute.
 * @param fault  Set, if it is not allowed.
 * @return       The caller's, for free(); null: *fault, else no memory.
 */
char *fetch_url_read(const char *base, struct str reference, bool allow_private,
                     const char **fault);

#endif
