#include "edge/web/fetch_rules.h"

#include "base/buf.h"
#include "core/address.h"
#include "core/url_clean.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CANT_BE_READ "the video's URL can't be read"

const char *fetch_address_fault(bool allow_private, int family,
                                const void *bytes)
{
    assert(family == 4 || family == 6);
    if (address_is_link_local(family, bytes)) {
        return "the video's host has a link-local address";
    }
    if (!allow_private && !address_is_public(family, bytes)) {
        return "the video's host has no public address";
    }
    return NULL;
}

const char *fetch_socket_fault(bool allow_private,
                               const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        return fetch_address_fault(allow_private, 4, &in->sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        return fetch_address_fault(allow_private, 6, &in6->sin6_addr);
    }
    return "the video's host has an address of no known kind";
}

const char *fetch_host_fault(bool allow_private, struct str host)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    if (host.len > 2 && host.at[0] == '[') {
        host = (struct str){host.at + 1, host.len - 2};
    }
    if (host.len == 0 || host.len >= sizeof text) {
        return NULL;
    }
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    if (inet_pton(AF_INET, text, bytes) == 1) {
        return fetch_address_fault(allow_private, 4, bytes);
    }
    return inet_pton(AF_INET6, text, bytes) == 1
               ? fetch_address_fault(allow_private, 6, bytes)
               : NULL;
}

static const char *part_fault(CURLU *url, bool allow_private)
{
    char *scheme = NULL;
    char *port = NULL;
    char *user = NULL;
    char *password = NULL;
    const char *fault = NULL;
    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    curl_url_get(url, CURLUPART_USER, &user, 0);
    curl_url_get(url, CURLUPART_PASSWORD, &password, 0);
    bool https = scheme && strcmp(scheme, "https") == 0;
    bool http = scheme && strcmp(scheme, "http") == 0;
    if (!https && !(http && allow_private)) {
        fault = "the video's URL is not https";
    } else if (user || password) {
        fault = "the video's URL names a user";
    } else if (!allow_private && port && strcmp(port, "443") != 0) {
        fault = "the video's URL names a port other than 443";
    }
    curl_free(scheme);
    curl_free(port);
    curl_free(user);
    curl_free(password);
    return fault;
}

/** Parses it, after what it is relative to. */
static CURLUcode set_url(CURLU *url, const char *base, const char *text)
{
    CURLUcode code = CURLUE_OK;
    if (base) {
        code = curl_url_set(url, CURLUPART_URL, base, CURLU_NON_SUPPORT_SCHEME);
    }
    if (code == CURLUE_OK) {
        code = curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    }
    return code;
}

char *fetch_url_read(const char *base, struct str reference, bool allow_private,
                     const char **fault)
{
    struct buf clean;
    char *text = NULL;
    buf_init(&clean, 0);
    url_clean(reference, &clean);
    CURLU *url = curl_url();
    CURLUcode code = CURLUE_OUT_OF_MEMORY;
    *fault = NULL;
    if (url && !clean.failed) {
        const bool good =
            clean.len && !memchr(reference.at, '\0', reference.len);
        code = good ? set_url(url, base, clean.bytes) : CURLUE_MALFORMED_INPUT;
    }
    if (code == CURLUE_OK) {
        *fault = part_fault(url, allow_private);
    } else if (code != CURLUE_OUT_OF_MEMORY) {
        *fault = CANT_BE_READ;
    }
    if (code == CURLUE_OK && !*fault) {
        curl_url_get(url, CURLUPART_URL, &text, 0);
    }
    char *own = text ? strdup(text) : NULL;
    curl_free(text);
    curl_url_cleanup(url);
    buf_done(&clean);
    return own;
}
