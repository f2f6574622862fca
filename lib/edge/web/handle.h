#ifndef EDGE_WEB_HANDLE_H
#define EDGE_WEB_HANDLE_H

#include "base/list.h"
#include "core/exchange.h"
#include "core/rate.h"
#include "edge/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * One HTTP request as libcurl is told of it: all options that are ever set, and
 * what came, the headers too, stand in handle.c. client.h starts and ends it.
 */

struct curl_slist;
struct proxy;
struct sockaddr;
struct web_client;

/** What holds for all requests of a client. None heeds a proxy of the
 * environment, follows a redirect by itself, or speaks less than TLS 1.2. */
struct web_policy {
    int connections_max;
    const char *ca_file; /* instead of the system's; null: these; copied */
    const struct proxy *proxy; /* null: none; lives longer */
    bool exact; /* paths go out as they are written: they are signed */
};

/** What became of bytes that came. */
enum web_taken {
    WEB_TAKEN,
    WEB_REFUSED, /* no more of them: it ends */
    WEB_AGAIN,   /* it waits in their middle: the same ones come again */
};

struct web_end {
    enum reply_end end; /* REPLY_CANCELLED also: may_send() said no */
    const char *why;    /* words for an end other than whole */
};

struct web_hooks {
    /** The request is about to leave, for this address (null: through the
     * proxy, which alone knows it); false: it doesn't. libcurl's pre-request
     * callback, behind CONNECT and TLS. Null: yes. */
    bool (*may_send)(void *context, const char *remote);
    /** A socket is about to be opened; false: not to that address. Null: yes.
     * A connection that is used again opens none; one to the proxy isn't asked
     * about. */
    bool (*may_reach)(void *context, const struct sockaddr *address);
    /** As much of the body as there is; 0: it waits until
     * web_call_go_on(). */
    size_t (*source)(void *context, char *out, size_t room);
    enum web_taken (*on_body)(void *context, const char *bytes, size_t len);
    /** The least rate was missed: true bears it for one more window. Null:
     * no. */
    bool (*on_slow)(void *context);
    /** Exactly once, not before web_call_start() has returned. It may free the
     * call, and may start it again. */
    void (*on_end)(void *context, const struct web_end *end);
};

/** Slices and headers live until the call has ended. */
struct web_request {
    const char *method;
    const char *url;
    struct curl_slist *headers;
    const char *ca_file;  /* null: the client's */
    bool direct;          /* past the proxy: who answers is on this machine */
    struct str body;      /* PUT, POST */
    int64_t source_bytes; /* instead of a body; -1: no source */
    long receive_bytes;   /* libcurl's buffer; 0: its own size */
    int64_t connect_ms;
    int64_t whole_ms;  /* for the whole call; 0: no limit */
    int64_t stall_ms;  /* without a byte either way, but for want of ours; 0 */
    int64_t window_ms; /* of the least rate, 4 KiB a second; 0: none */
};

/** Begins zeroed; web_call_done() ends it. */
struct web_call {
    struct list link; /* in client.active */
    struct web_client *client;
    struct loop *loop; /* the client's, as the next */
    const struct web_policy *policy;
    const struct web_hooks *hooks;
    void *context;
    bool under_way;
    void *easy; /* libcurl's; readable in on_end() still */
    struct loop_timer *clock;
    struct str body;
    size_t body_at; /* given to libcurl */
    int64_t left;   /* of the source, still to give */
    int64_t began_ms;
    int64_t last_ms; /* a byte moved, or a pause of ours ended */
    int64_t whole_ms;
    int64_t stall_ms;
    bool has_rate;
    struct rate rate;
    size_t header_bytes;
    int sends;       /* times that the request was about to leave */
    bool proxied;    /* goes through the proxy */
    int tunnel;      /* what that answered CONNECT with; 0: nothing yet */
    bool gated;      /* may_send() said no */
    bool refused;    /* on_body() did */
    bool waits;      /* for want of ours: no clock of the peer's runs */
    bool paused;     /* libcurl was told so */
    bool go_on;      /* to be told that it goes on */
    bool cancelled;  /* to be ended */
    bool overdue;    /* its last look has begun */
    char error[256]; /* CURL_ERROR_SIZE */
};

/** With what a policy says; null: no memory. */
void *web_handle_new(const struct web_policy *policy);

/** Points call->easy at the call, which is about to start. False: no memory, it
 * must not. */
MUST_CHECK bool web_handle_set(struct web_call *call,
                               const struct web_request *request);

/** Makes it wait from within on_body(): no more bytes until web_call_go_on().
 * Of one that has ended nothing waits. */
void web_call_wait(struct web_call *call);

/* ---- what came; from hooks only ---- */

/** HTTP's, of the last reply; 0: none. */
int web_call_status(const struct web_call *call);

/** A body's, announced; -1: not. */
int64_t web_call_length(const struct web_call *call);

/** The first header of that name, to be copied before the next is asked for;
 * absent: none. Informational replies and trailers don't count. */
struct str web_call_header(const struct web_call *call, const char *name);

/** The same, copied, cut if too long; "": none. */
void web_call_copy(const struct web_call *call, const char *name, char *out,
                   size_t out_bytes);

/** All headers of that name as one list, cut if too long; "": none. */
void web_call_list(const struct web_call *call, const char *name, char *out,
                   size_t out_bytes);

#endif
