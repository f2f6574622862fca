#ifndef BASE_PROXY_H
#define BASE_PROXY_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

/**
 * An HTTP proxy that leads out of a network, as PROXY_URL names it. All goes
 * through it by CONNECT, plain http too: what the proxy itself answers can
 * then never be taken for the answer of the host behind it.
 */

#define PROXY_HOST_BYTES 254
#define PROXY_USER_BYTES 256
#define PROXY_NAME_BYTES (PROXY_HOST_BYTES + 10)

struct proxy {
    bool secure; /* TLS to the proxy itself */
    int port;
    char host[PROXY_HOST_BYTES]; /* without brackets */
    char name[PROXY_NAME_BYTES]; /* host:port, for people and for libcurl */
    char user[PROXY_USER_BYTES]; /* decoded; "": no credentials */
    char password[PROXY_USER_BYTES];
    const char *except;  /* PROXY_EXCEPT; "": no host */
    const char *ca_file; /* of an https proxy; null: the system's */
};

/**
 * Read http[s]://[user[:password]@]host[:port], whose port is 80 or 443 where
 * it isn't said; user and password are percent-decoded.
 *
 * @param proxy  Its texts `except` and `ca_file` are left empty.
 * @return       null, or what is wrong with it, a constant phrase; *proxy holds
 *               no secret then.
 */
const char *proxy_read(struct str url, struct proxy *proxy);

/**
 * The proxy that settings have judged; null where `url` is "": none.
 *
 * @param proxy    Filled; the texts stay the caller's and live longer.
 * @param ca_file  "": the system's.
 */
const struct proxy *proxy_of(struct proxy *proxy, const char *url,
                             const char *except, const char *ca_file);

/**
 * A list of hosts, separated by commas: a name, which stands for what is below
 * it too (".name" says the same), an address, or a range of addresses as
 * 10.0.0.0/8.
 *
 * @return  null, or what is wrong with it, a constant phrase.
 */
const char *proxy_list_fault(struct str list);

/**
 * Whether a host is asked through the proxy.
 *
 * @param proxy  null: none.
 * @param host   A name, or an address with or without brackets.
 */
bool proxy_leads_to(const struct proxy *proxy, struct str host);

/** The host of http://host… or https://host…, brackets and all; absent: none.
 */
struct str proxy_host_of(struct str url);

/** The value of Proxy-Authorization, for a proxy with a user. */
void proxy_add_credentials(const struct proxy *proxy, struct buf *out);

#endif
