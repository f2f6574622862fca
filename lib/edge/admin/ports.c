#include "edge/admin/ports.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

/** Every address of it, for freeaddrinfo(); null with *err: none. */
static struct addrinfo *resolve(const char *listen, struct err *err)
{
    char host[256];
    const char *colon = strrchr(listen, ':');
    if (!colon || (size_t)(colon - listen) >= sizeof host) {
        err_set(err, ERR_FATAL, "\"%s\" is not host:port", listen);
        return NULL;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - listen), listen);
    char *name = host;
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        name++;
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(name[0] ? name : NULL, colon + 1, &hints, &found);
    if (code != 0) {
        err_set(err, ERR_FATAL, "\"%s\": %s", listen, gai_strerror(code));
        return NULL;
    }
    return found;
}

static bool is_any_v6(const struct sockaddr_storage *address)
{
    const struct sockaddr_in6 *six = (const void *)address;
    return address->ss_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr);
}

static int number_of(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

/** The second port has the port that the first one was given. */
static void set_port(struct sockaddr_storage *address, int port)
{
    assert(port >= 0 && port <= 65535);
    if (address->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port =
            htons((uint16_t)port);
    } else {
        ((struct sockaddr_in *)(void *)address)->sin_port =
            htons((uint16_t)port);
    }
}

static void open_one(struct ports *ports, const struct ports_options *options,
                     struct sockaddr_storage *address)
{
    /* A thread for each connection, or one that waits for a hanging loop would
     * keep the others waiting with it. */
    unsigned flags =
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION;
    if (address->ss_family == AF_INET6) {
        flags |= is_any_v6(address) ? MHD_USE_DUAL_STACK : MHD_USE_IPv6;
    }
    assert(ports->len < PORTS_MAX);
    if (ports->len) {
        set_port(address, number_of(ports->at[0]));
    }
    errno = 0;
    struct MHD_Daemon *port = MHD_start_daemon(
        flags, 0, NULL, NULL, options->on_request, options->context,
        MHD_OPTION_SOCK_ADDR, address, MHD_OPTION_CONNECTION_LIMIT,
        options->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
        options->timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        options->connection_bytes, MHD_OPTION_NOTIFY_CONNECTION,
        options->on_connection, options->context, MHD_OPTION_NOTIFY_COMPLETED,
        options->on_completed, options->context, MHD_OPTION_END);
    if (port) {
        ports->at[ports->len++] = port;
    } else {
        ports->fault = errno;
    }
}

/** The first address of each family; what [::] covers is not opened again. */
static void open_ports(struct ports *ports, const struct ports_options *options,
                       const struct addrinfo *found)
{
    int family = AF_UNSPEC;
    bool any = false;
    in_port_t any_port = 0;
    for (; found && ports->len < PORTS_MAX; found = found->ai_next) {
        struct sockaddr_storage address = {0};
        assert(found->ai_addrlen <= sizeof address);
        memcpy(&address, found->ai_addr, found->ai_addrlen);
        if (is_any_v6(&address)) {
            any_port = ((struct sockaddr_in6 *)(void *)&address)->sin6_port;
            any = true;
        }
        if (found->ai_family != family) {
            open_one(ports, options, &address);
        }
        family = ports->len ? found->ai_family : family;
    }
    if (any && ports->len == 0) { /* a machine without IPv6 */
        struct sockaddr_storage four = {.ss_family = AF_INET};
        set_port(&four, ntohs(any_port));
        open_one(ports, options, &four);
    }
}

bool ports_open(struct ports *ports, const struct ports_options *options,
                struct err *err)
{
    assert(options->listen && options->on_request && options->connections_max);
    *ports = (struct ports){0};
    struct addrinfo *found = resolve(options->listen, err);
    if (!found) {
        return false;
    }
    open_ports(ports, options, found);
    freeaddrinfo(found);
    if (ports->len == 0) {
        const bool taken = ports->fault == EADDRINUSE;
        err_set(err, ERR_FATAL, "can't listen on %s=%s%s%s%s", options->setting,
                options->listen, ports->fault ? ": " : "",
                ports->fault ? strerror(ports->fault) : "",
                taken ? "; another program has it, allowed: a free port" : "");
    }
    return ports->len > 0;
}

int ports_number(const struct ports *ports)
{
    assert(ports->len > 0);
    return number_of(ports->at[0]);
}

void ports_close(struct ports *ports)
{
    for (size_t i = 0; i < ports->len; i++) {
        MHD_stop_daemon(ports->at[i]);
    }
    ports->len = 0;
}
