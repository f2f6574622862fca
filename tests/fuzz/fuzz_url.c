/* tests/run: long */
#include "fuzz.h"

#include "core/address.h"
#include "core/url.h"

#include <arpa/inet.h>
#include <strings.h>

/* An image URL. What is found fine is read a second time, by other means: the
 * host that libc makes of it must be a public one. */

static void check_host(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    size_t len = strlen(host);
    CHECK(len > 0);
    if (host[0] == '[') {
        char inner[64] = "";
        snprintf(inner, sizeof inner, "%.*s", (int)len - 2, host + 1);
        CHECK(inet_pton(AF_INET6, inner, &six) == 1);
        CHECK(address_is_public(6, six.s6_addr));
        return;
    }
    if (inet_aton(host, &four)) { /* decimal, octal, hex and short forms too */
        CHECK(address_is_public(4, (const unsigned char *)&four));
    }
    CHECK(strcasecmp(host, "localhost") != 0);
    CHECK(len < 10 || strcasecmp(host + len - 10, ".localhost") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why = NULL;
    struct str url = {(const char *)data, size};
    enum url_fault fault = url_judge(url, &why);
    CHECK(fault == URL_FINE || (why && *why));
    if (fault != URL_FINE) {
        return 0;
    }
    char text[4096];
    snprintf(text, sizeof text, "%.*s", (int)(size < 4000 ? size : 4000),
             (const char *)data);
    CHECK(strlen(text) == size || size >= 4000);
    char *host = strstr(text, "://");
    CHECK(host && (strncasecmp(text, "http", 4) == 0));
    host += 3;
    host[strcspn(host, "/?#")] = '\0';
    CHECK(!strchr(host, '@') && !strchr(host, '\\') && !strchr(host, ' '));
    char *port = host[0] == '[' ? strchr(host, ']') : host;
    CHECK(port);
    port = strchr(port, ':');
    if (port) {
        *port = '\0';
    }
    check_host(host);
    return 0;
}
