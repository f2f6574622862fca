#include "edge/poll/lookup.h"

#include <assert.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Shared by the loop and the thread; who is last frees it. */
struct lookup {
    pthread_mutex_t lock;
    int shares;
    bool posted;    /* the loop will be told */
    bool abandoned; /* nobody waits for it */
    struct loop *loop;
    lookup_fn *on_end;
    void *context;
    char host[256];
    int port;
    struct lookup_answer answer;
};

static void leave(struct lookup *lookup)
{
    pthread_mutex_lock(&lookup->lock);
    const bool last = --lookup->shares == 0;
    pthread_mutex_unlock(&lookup->lock);
    if (last) {
        pthread_mutex_destroy(&lookup->lock);
        free(lookup);
    }
}

static void set_port(union lookup_address *address, int port)
{
    if (address->any.sa_family == AF_INET) {
        address->v4.sin_port = htons((uint16_t)port);
    } else {
        address->v6.sin6_port = htons((uint16_t)port);
    }
}

bool lookup_literal(const char *host, int port, struct lookup_answer *answer)
{
    assert(host[0] && port >= 1);
    union lookup_address address = {0};
    if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
    } else if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
    } else {
        return false;
    }
    set_port(&address, port);
    *answer = (struct lookup_answer){.addresses = {address}, .len = 1};
    return true;
}

/** The next from there on that is of that family, or is not. */
static const struct addrinfo *of_family(const struct addrinfo *at, int family,
                                        bool is)
{
    while (at && ((at->ai_family != AF_INET && at->ai_family != AF_INET6) ||
                  at->ai_addrlen > sizeof(union lookup_address) ||
                  (at->ai_family == family) != is)) {
        at = at->ai_next;
    }
    return at;
}

/** In turn of both families (RFC 8305 4): a name may have more addresses of one
 * than we take, and no way leads to them. */
static void take_in_turn(const struct addrinfo *found, int port,
                         struct lookup_answer *answer)
{
    const int family = found->ai_family;
    const struct addrinfo *next[] = {of_family(found, family, false),
                                     of_family(found, family, true)};
    bool first = true;
    while (answer->len < LOOKUP_ADDRESSES_MAX && (next[0] || next[1])) {
        const bool is = next[first] ? first : !first;
        union lookup_address address = {0};
        memcpy(&address, next[is]->ai_addr, next[is]->ai_addrlen);
        set_port(&address, port);
        answer->addresses[answer->len++] = address;
        next[is] = of_family(next[is]->ai_next, family, is);
        first = !is;
    }
}

static void ask(const char *host, int port, struct lookup_answer *answer)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM};
    const int code = getaddrinfo(host, NULL, &hints, &found);
    if (!code && found) {
        take_in_turn(found, port, answer);
    }
    if (code) {
        snprintf(answer->why, sizeof answer->why, "%s", gai_strerror(code));
    } else if (!answer->len) {
        snprintf(answer->why, sizeof answer->why, "it has no address");
    }
    if (!code) {
        freeaddrinfo(found);
    }
}

static void on_loop(void *context)
{
    struct lookup *lookup = context;
    if (!lookup->abandoned) { /* only this thread sets it */
        lookup->on_end(lookup->context, &lookup->answer);
    }
    leave(lookup);
}

static void *run(void *context)
{
    struct lookup *lookup = context;
    struct lookup_answer answer = {0};
    ask(lookup->host, lookup->port, &answer);
    pthread_mutex_lock(&lookup->lock);
    if (!lookup->abandoned) {
        lookup->answer = answer;
        lookup->posted = true;
        loop_post(lookup->loop, on_loop, lookup);
    }
    pthread_mutex_unlock(&lookup->lock);
    leave(lookup);
    return NULL;
}

struct lookup *lookup_start(struct loop *loop, const char *host, int port,
                            lookup_fn *on_end, void *context)
{
    assert(host[0] && port >= 1 && on_end);
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup || pthread_mutex_init(&lookup->lock, NULL) != 0) {
        free(lookup);
        return NULL;
    }
    lookup->shares = 2;
    lookup->loop = loop;
    lookup->on_end = on_end;
    lookup->context = context;
    lookup->port = port;
    snprintf(lookup->host, sizeof lookup->host, "%s", host);
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    const bool runs = pthread_create(&thread, &attributes, run, lookup) == 0;
    pthread_attr_destroy(&attributes);
    if (!runs) {
        pthread_mutex_destroy(&lookup->lock);
        free(lookup);
        return NULL;
    }
    return lookup;
}

void lookup_stop(struct lookup *lookup)
{
    pthread_mutex_lock(&lookup->lock);
    lookup->abandoned = true;
    const bool posted = lookup->posted;
    pthread_mutex_unlock(&lookup->lock);
    if (!posted) {
        leave(lookup);
    }
}
