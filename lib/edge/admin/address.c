#include "edge/admin.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

/** Loopback and link-local addresses lead nowhere from another machine. */
static bool is_far(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        uint32_t host = ntohl(in->sin_addr.s_addr);
        return host >> 24 != 127 && host >> 16 != 0xa9fe;
    }
    const struct sockaddr_in6 *in6 = (const void *)address;
    return address->sa_family == AF_INET6 &&
           !IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) &&
           !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr);
}

/** The first of this machine, IPv4 before IPv6; false: there is none. */
static bool own_address(char *out, size_t out_bytes)
{
    struct ifaddrs *all = NULL;
    bool found = false;
    if (getifaddrs(&all) != 0) {
        return false;
    }
    for (int pass = 0; pass < 2 && !found; pass++) {
        int family = pass ? AF_INET6 : AF_INET;
        for (struct ifaddrs *at = all; at && !found; at = at->ifa_next) {
            if (!at->ifa_addr || at->ifa_addr->sa_family != family ||
                !(at->ifa_flags & IFF_UP) || !is_far(at->ifa_addr)) {
                continue;
            }
            char text[INET6_ADDRSTRLEN];
            const void *bytes =
                pass
                    ? (const void *)&(
                          (const struct sockaddr_in6 *)(const void *)
                              at->ifa_addr)
                          ->sin6_addr
                    : (const void *)&((const struct sockaddr_in *)(const void *)
                                          at->ifa_addr)
                          ->sin_addr;
            found = inet_ntop(family, bytes, text, sizeof text) != NULL;
            snprintf(out, out_bytes, pass ? "[%s]" : "%s", text);
        }
    }
    freeifaddrs(all);
    return found;
}

void admin_advertise(const char *listen, int port, char *out, size_t out_bytes)
{
    assert(out_bytes > 0);
    char host[256];
    const char *colon = strrchr(listen, ':');
    size_t len = colon ? (size_t)(colon - listen) : strlen(listen);
    snprintf(host, sizeof host, "%.*s", (int)len, listen);
    static const char *const wild[] = {"", "0.0.0.0", "[::]", "*"};
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        if (strcmp(host, wild[i]) == 0 && !own_address(host, sizeof host)) {
            snprintf(host, sizeof host, "127.0.0.1");
        }
    }
    snprintf(out, out_bytes, "%s:%d", host, port);
}
