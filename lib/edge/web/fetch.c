#include "edge/web/fetch_own.h"

#include "base/proxy.h"
#include "edge/web/fetch_rules.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 1024
#define REDIRECTS_MAX 3
#define RECEIVE_BYTES (256 * 1024L)
/* Of the least rate: a host that gives less holds one of few slots. */
#define WINDOW_MS 60000

/* ---- ends ---- */

static void free_fetch(struct fetch *fetch)
{
    list_remove(&fetch->link);
    web_call_done(&fetch->web);
    decoder_free(fetch->decoder);
    free(fetch->url);
    free(fetch);
}

static enum reply_end end_of(const struct fetch *fetch, enum reply_end end)
{
    if (fetch->too_large && end != REPLY_TIMED_OUT) {
        return REPLY_TOO_LARGE;
    }
    if (end == REPLY_WHOLE &&
        (fetch->starved || fetch->encoded || fetch->partial)) {
        return REPLY_BROKEN;
    }
    return end;
}

static bool is_cancelled(const struct fetch *fetch)
{
    return fetch->cancelled || fetch->fetcher->closing;
}

static bool is_chunked(const struct fetch *fetch)
{
    const struct str coding = web_call_header(&fetch->web, "Transfer-Encoding");
    return str_find_nocase(coding, STR("chunked")) >= 0;
}

/** Of the seconds form; 0: none. */
static int64_t retry_hint_ms(const struct fetch *fetch)
{
    int64_t seconds = 0;
    return str_to_i64(web_call_header(&fetch->web, "Retry-After"), 0, 600,
                      &seconds)
               ? seconds * 1000
               : 0;
}

static void end_fetch(struct fetch *fetch, const struct web_end *told)
{
    assert(fetch->hooks && fetch->hooks->on_end);
    const int status = web_call_status(&fetch->web);
    const bool found = status >= 200 && status < 300;
    const bool cancelled = is_cancelled(fetch);
    enum reply_end came = told->end;
    if (came == REPLY_WHOLE && found && !cancelled) {
        fetch_finish_body(fetch);
    }
    if (came == REPLY_CANCELLED && fetch->forbidden) {
        came = REPLY_BROKEN; /* may_send() ended it */
    }
    struct fetch_end end = {
        .end = cancelled ? REPLY_CANCELLED : end_of(fetch, came),
        .status = fetch->starved ? 0 : status, /* a redirect refuses nothing */
        .bytes = fetch->bytes,
        .length = fetch->length,
        .delimited = is_chunked(fetch),
        .retry_after_ms_hint = retry_hint_ms(fetch),
    };
    bool good = end.end == REPLY_WHOLE && found;
    if (!good && fetch->shut_out && !fetch->reached && !cancelled) {
        fetch_forbid(fetch, fetch->shut_out);
    }
    end.forbidden = !good && fetch->forbidden;
    if (!good) {
        const char *why = fetch->why[0]    ? fetch->why
                          : fetch->starved ? "no memory for a redirect"
                          : told->end != REPLY_WHOLE ? told->why
                                                     : "";
        snprintf(end.why, sizeof end.why, "%.159s", why);
    }
    const struct fetch_hooks *hooks = fetch->hooks;
    void *context = fetch->context;
    free_fetch(fetch);
    hooks->on_end(context, &end);
}

static bool start(struct fetch *fetch);

/** As fetch_url_read(); and what goes through the proxy is judged by the
 * address that its URL writes, if it does. */
static char *read_url(const struct fetcher *fetcher, const char *base,
                      struct str reference, const char **fault)
{
    const bool private = fetcher->options.allow_private;
    char *url = fetch_url_read(base, reference, private, fault);
    const struct str host = proxy_host_of(str_of(url));
    if (url && host.len > 0 && proxy_leads_to(fetcher->options.proxy, host)) {
        *fault = fetch_host_fault(private, host);
    }
    if (*fault) {
        free(url);
        url = NULL;
    }
    return url;
}

/** Follow one redirect by hand; false: there is none to follow. */
static bool follow(struct fetch *fetch)
{
    const char *fault = NULL;
    const int status = web_call_status(&fetch->web);
    assert(fetch->url);
    const struct str location = web_call_header(&fetch->web, "Location");
    if (status < 300 || status > 399 || location.len == 0 ||
        is_cancelled(fetch)) {
        return false;
    }
    if (fetch->redirects++ >= REDIRECTS_MAX) {
        return fetch_forbid(fetch, "too many redirects");
    }
    if (location.len >= FETCH_LOCATION_BYTES_MAX) {
        return fetch_forbid(fetch, "a redirect to too long a URL");
    }
    char *url = read_url(fetch->fetcher, fetch->url, location, &fault);
    fetch->starved = !url && !fault;
    if (!url) {
        return fault && fetch_forbid(fetch, fault);
    }
    free(fetch->url);
    fetch->url = url;
    fetch->error_bytes = 0;
    fetch->reached = false;
    fetch->shut_out = NULL;
    fetch->starved = !start(fetch);
    return !fetch->starved;
}

/* ---- what the client asks ---- */

static bool may_reach(void *context, const struct sockaddr *address)
{
    struct fetch *fetch = context;
    const char *fault =
        fetch_socket_fault(fetch_allows_private(fetch), address);
    if (fault) {
        fetch->shut_out = fault;
        return false;
    }
    fetch->reached = true;
    return true;
}

/** A connection that is used again opens no socket: judged here. */
static bool may_send(void *context, const char *remote)
{
    struct fetch *fetch = context;
    unsigned char bytes[16];
    const char *fault = "the video's host has an address of no known kind";
    if (!remote) {
        return true; /* the proxy knows it */
    }
    if (inet_pton(AF_INET, remote, bytes) == 1) {
        fault = fetch_address_fault(fetch_allows_private(fetch), 4, bytes);
    } else if (inet_pton(AF_INET6, remote, bytes) == 1) {
        fault = fetch_address_fault(fetch_allows_private(fetch), 6, bytes);
    }
    return !fault || fetch_forbid(fetch, fault);
}

static enum web_taken on_body(void *context, const char *bytes, size_t len)
{
    return fetch_take(context, bytes, len);
}

/** A host that gives too little: whether it may go on, nobody else waiting. */
static bool on_slow(void *context)
{
    struct fetch *fetch = context;
    return fetch->hooks->on_slow && fetch->hooks->on_slow(fetch->context);
}

static void on_end(void *context, const struct web_end *end)
{
    struct fetch *fetch = context;
    const bool came =
        end->end != REPLY_TIMED_OUT && end->end != REPLY_CANCELLED;
    if (!came || !follow(fetch)) {
        end_fetch(fetch, end);
    }
}

static const struct web_hooks web_hooks = {
    .may_send = may_send,
    .may_reach = may_reach,
    .on_body = on_body,
    .on_slow = on_slow,
    .on_end = on_end,
};

/* ---- the door ---- */

static bool start(struct fetch *fetch)
{
    struct fetcher *fetcher = fetch->fetcher;
    assert(fetch->url && fetch->fetcher);
    const int64_t window_ms = fetcher->options.window_ms;
    const struct web_request request = {
        .method = "GET",
        .url = fetch->url,
        .headers = fetcher->headers,
        .source_bytes = -1,
        .receive_bytes = RECEIVE_BYTES,
        .connect_ms = fetch->connect_ms,
        .stall_ms = fetch->stall_ms,
        .window_ms = window_ms ? window_ms : WINDOW_MS,
    };
    return web_call_start(&fetch->web, fetcher->client, &request, &web_hooks,
                          fetch);
}

static struct fetch *fetch_new(struct fetcher *fetcher, char *url,
                               int64_t connect_ms, int64_t stall_ms,
                               const struct fetch_hooks *fetch_hooks,
                               void *context)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch) {
        free(url);
        return NULL;
    }
    *fetch = (struct fetch){
        .fetcher = fetcher,
        .hooks = fetch_hooks,
        .context = context,
        .url = url,
        .connect_ms = connect_ms,
        .stall_ms = stall_ms,
        .length = -1,
    };
    list_add_tail(&fetcher->active, &fetch->link);
    if (!start(fetch)) {
        free_fetch(fetch);
        return NULL;
    }
    return fetch;
}

struct fetch *fetch_start(struct fetcher *fetcher, struct str url,
                          int64_t connect_ms, int64_t stall_ms,
                          const struct fetch_hooks *hooks, void *context,
                          struct err *err)
{
    assert(connect_ms > 0 && stall_ms > 0);
    assert(hooks->on_head && hooks->on_data && hooks->on_end);
    const char *fault = NULL;
    if (fetcher->closing) {
        err_set(err, ERR_TRANSIENT, "stopping");
        return NULL;
    }
    char *text = read_url(fetcher, NULL, url, &fault);
    if (fault) {
        err_set(err, ERR_PERMANENT, "%s", fault);
        return NULL;
    }
    struct fetch *fetch =
        text ? fetch_new(fetcher, text, connect_ms, stall_ms, hooks, context)
             : NULL;
    if (!fetch) {
        err_set(err, ERR_TRANSIENT, "no memory for a download");
        return NULL;
    }
    return fetch;
}

void fetch_resume(struct fetch *fetch)
{
    web_call_go_on(&fetch->web);
}

void fetch_cancel(struct fetch *fetch)
{
    assert(fetch->hooks);
    fetch->cancelled = true;
    web_call_cancel(&fetch->web);
}

struct fetcher *fetcher_open(struct loop *loop,
                             const struct fetcher_options *options,
                             struct err *err)
{
    assert(options->bytes_max > 0 && options->window_ms >= 0);
    struct fetcher *fetcher = calloc(1, sizeof *fetcher);
    if (!fetcher) {
        err_set(err, ERR_FATAL, "no memory for downloads");
        return NULL;
    }
    *fetcher = (struct fetcher){
        .loop = loop,
        .options = *options,
        .headers = curl_slist_append(NULL, "Accept-Encoding: identity"),
    };
    list_init(&fetcher->active);
    const struct web_policy policy = {
        .connections_max = CONNECTIONS_MAX,
        .ca_file = options->ca_file,
        .proxy = options->proxy,
    };
    fetcher->client = web_client_open(loop, &policy, err);
    if (!fetcher->client || !fetcher->headers) {
        err_set(err, ERR_FATAL, "no memory for downloads");
        fetcher_close(fetcher);
        return NULL;
    }
    return fetcher;
}

void fetcher_close(struct fetcher *fetcher)
{
    assert(!fetcher->closing);
    fetcher->closing = true;
    while (!list_is_empty(&fetcher->active)) {
        struct fetch *fetch =
            LIST_OWNER(fetcher->active.next, struct fetch, link);
        web_call_stop(&fetch->web, "stopped");
    }
    web_client_close(fetcher->client);
    curl_slist_free_all(fetcher->headers);
    free(fetcher);
}
