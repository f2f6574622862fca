#include "edge/web/client.h"

#include "core/tunnel.h"
#include "edge/web/handle.h"
#include "edge/web/multi.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_BYTES_PER_S 4096
#define LAST_LOOK_MS 100 /* for what is there at the end of a time */

struct web_client {
    struct loop *loop;
    struct web_policy policy;
    struct web_multi *multi;
    struct list active;
    struct loop_timer *soon; /* goes on and cancels, outside libcurl */
};

/* ---- ends ---- */

static enum reply_end end_of(CURLcode code)
{
    switch ((int)code) {
    case CURLE_OK:
        return REPLY_WHOLE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return REPLY_UNRESOLVED;
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return REPLY_UNREACHED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return REPLY_UNTRUSTED;
    case CURLE_OPERATION_TIMEDOUT:
        return REPLY_TIMED_OUT;
    default:
        return REPLY_BROKEN;
    }
}

/**
 * The request did not leave, and what hindered it may be the proxy: said in its
 * name. With a tunnel that stood it was the host behind.
 */
static enum reply_end blame_proxy(struct web_call *call, enum reply_end end)
{
    char why[sizeof call->error];
    const struct proxy *proxy = call->policy->proxy;
    if (!call->proxied || call->sends > 0 || call->gated ||
        call->tunnel / 100 == 2 || end == REPLY_CANCELLED) {
        return end;
    }
    const char *url = NULL;
    curl_easy_getinfo(call->easy, CURLINFO_EFFECTIVE_URL, &url);
    if (call->tunnel) {
        tunnel_words(proxy, proxy_host_of(str_of(url)), call->tunnel, why,
                     sizeof why);
    } else {
        snprintf(why, sizeof why, "the proxy %.80s: %.160s", proxy->name,
                 call->error);
    }
    snprintf(call->error, sizeof call->error, "%s", why);
    return call->tunnel || end == REPLY_BROKEN ? REPLY_UNREACHED : end;
}

/** libcurl has it no longer. */
static void end_call(struct web_call *call, enum reply_end end, const char *why)
{
    CURL *easy = call->easy;
    const struct web_end told = {.end = end, .why = why};
    assert(call->under_way && easy);
    call->under_way = false;
    list_remove(&call->link);
    loop_timer_stop(call->clock);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    call->hooks->on_end(call->context, &told);
    curl_easy_cleanup(easy); /* the call itself may be gone */
}

static void on_done(void *context, void *easy, int code)
{
    struct web_call *call = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
    assert(call->easy == easy && call->client == context);
    enum reply_end end = call->gated ? REPLY_CANCELLED : end_of((CURLcode)code);
    if (!call->error[0]) {
        snprintf(call->error, sizeof call->error, "%s",
                 curl_easy_strerror((CURLcode)code));
    }
    end = blame_proxy(call, end);
    end_call(call, end, call->error);
}

/* ---- clocks ---- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/** When the clocks of the call are looked at again. */
static void watch_clocks(struct web_call *call, int64_t now_ms)
{
    int64_t left_ms = INT64_MAX;
    if (call->stall_ms) {
        left_ms = least(left_ms, call->last_ms + call->stall_ms - now_ms);
    }
    if (call->whole_ms) {
        left_ms = least(left_ms, call->began_ms + call->whole_ms - now_ms);
    }
    if (call->has_rate && !call->waits) {
        left_ms = least(left_ms, rate_left_ms(&call->rate, now_ms));
    }
    if (left_ms < INT64_MAX) {
        loop_timer_set(call->clock, left_ms > 0 ? left_ms : 0);
    }
}

/** Whether it is over, and in words why. */
static bool is_late(struct web_call *call, int64_t now_ms)
{
    if (call->stall_ms && now_ms - call->last_ms >= call->stall_ms) {
        snprintf(call->error, sizeof call->error, "no byte moved for %lld s",
                 (long long)(call->stall_ms / 1000));
        return true;
    }
    if (call->whole_ms && now_ms - call->began_ms >= call->whole_ms) {
        snprintf(call->error, sizeof call->error, "not done within %lld s",
                 (long long)(call->whole_ms / 1000));
        return true;
    }
    return false;
}

static bool is_slow(struct web_call *call, int64_t now_ms)
{
    if (!call->has_rate || !rate_is_low(&call->rate, now_ms) ||
        (call->hooks->on_slow && call->hooks->on_slow(call->context))) {
        return false;
    }
    snprintf(call->error, sizeof call->error,
             "less than 4 KiB a second moved for %lld s",
             (long long)(call->rate.window_ms / 1000));
    return true;
}

/**
 * No clock is libcurl's, which looks at it before it looks into the socket:
 * where a process stood still, it would end a call with the reply unread, and
 * one to a POST is worth more. So time that is over is over after one more
 * look.
 */
static void on_clock(void *context)
{
    struct web_call *call = context;
    const int64_t now_ms = loop_boot_ms(call->loop);
    if (call->waits) {
        call->last_ms = now_ms;
    }
    const bool late = is_late(call, now_ms);
    if (late && !call->overdue) {
        call->overdue = true;
        loop_timer_set(call->clock, LAST_LOOK_MS);
        return;
    }
    call->overdue = late;
    if (!late && !is_slow(call, now_ms)) {
        watch_clocks(call, now_ms);
        return;
    }
    web_multi_remove(call->client->multi, call->easy);
    end_call(call, blame_proxy(call, REPLY_TIMED_OUT), call->error);
}

/* ---- the life of a call ---- */

bool web_call_start(struct web_call *call, struct web_client *client,
                    const struct web_request *request,
                    const struct web_hooks *hooks, void *context)
{
    assert(request->method && request->url && hooks->on_body);
    assert(!request->window_ms || request->stall_ms);
    assert(!call->under_way && request->connect_ms > 0);
    assert(request->whole_ms || request->stall_ms); /* something ends it */
    const int64_t now_ms = loop_boot_ms(client->loop);
    struct loop_timer *clock =
        call->clock ? call->clock
                    : loop_timer_new(client->loop, on_clock, call);
    CURL *easy = clock ? web_handle_new(&client->policy) : NULL;
    *call = (struct web_call){
        .client = client,
        .loop = client->loop,
        .policy = &client->policy,
        .hooks = hooks,
        .context = context,
        .easy = easy,
        .clock = clock,
        .body = request->body,
        .left = request->source_bytes,
        .began_ms = now_ms,
        .last_ms = now_ms,
        .whole_ms = request->whole_ms,
        .stall_ms = request->stall_ms,
        .has_rate = request->window_ms > 0,
    };
    if (!easy) {
        return false;
    }
    if (call->has_rate) {
        rate_begin(&call->rate, request->window_ms, LEAST_BYTES_PER_S, now_ms);
    }
    call->under_way =
        web_handle_set(call, request) && web_multi_add(client->multi, easy);
    if (!call->under_way) {
        call->easy = NULL;
        curl_easy_cleanup(easy);
        return false;
    }
    list_add_tail(&client->active, &call->link);
    watch_clocks(call, now_ms);
    return true;
}

void web_call_go_on(struct web_call *call)
{
    if (call->waits && !call->go_on) {
        call->go_on = true;
        loop_timer_set(call->client->soon, 0);
    }
}

void web_call_cancel(struct web_call *call)
{
    assert(call->under_way);
    call->cancelled = true;
    loop_timer_set(call->client->soon, 0);
}

void web_call_stop(struct web_call *call, const char *why)
{
    assert(call->under_way);
    web_multi_remove(call->client->multi, call->easy);
    end_call(call, REPLY_CANCELLED, why);
}

void web_call_done(struct web_call *call)
{
    if (call->under_way) {
        web_multi_remove(call->client->multi, call->easy);
        call->under_way = false;
        list_remove(&call->link);
        curl_easy_cleanup(call->easy);
    }
    loop_timer_free(call->clock);
    call->clock = NULL;
    call->easy = NULL;
}

static void go_on_all(struct web_client *client)
{
    for (struct list *at = client->active.next; at != &client->active;) {
        struct web_call *call = LIST_OWNER(at, struct web_call, link);
        at = at->next;
        if (!call->go_on) {
            continue;
        }
        call->go_on = false;
        call->waits = false;
        call->last_ms = loop_boot_ms(client->loop);
        if (call->has_rate) {
            rate_resume(&call->rate, call->last_ms);
            watch_clocks(call, call->last_ms);
        }
        if (call->paused) {
            call->paused = false;
            curl_easy_pause(call->easy, CURLPAUSE_CONT);
        }
    }
    web_multi_look(client->multi);
}

static void on_soon(void *context)
{
    struct web_client *client = context;
    go_on_all(client);
    for (struct list *at = client->active.next; at != &client->active;) {
        struct web_call *call = LIST_OWNER(at, struct web_call, link);
        at = at->next;
        if (call->cancelled) {
            web_call_stop(call, "stopped");
            at = client->active.next; /* an end may have begun others */
        }
    }
}

/* ---- the client ---- */

struct web_client *web_client_open(struct loop *loop,
                                   const struct web_policy *policy,
                                   struct err *err)
{
    assert(policy->connections_max >= 1);
    struct web_client *client = calloc(1, sizeof *client);
    if (!client) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        return NULL;
    }
    *client = (struct web_client){
        .loop = loop,
        .policy = *policy,
        .soon = loop_timer_new(loop, on_soon, client),
    };
    client->policy.ca_file = policy->ca_file ? strdup(policy->ca_file) : NULL;
    list_init(&client->active);
    client->multi =
        web_multi_open(loop, policy->connections_max, on_done, client, err);
    if (!client->multi || !client->soon ||
        (policy->ca_file && !client->policy.ca_file)) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        web_client_close(client);
        return NULL;
    }
    return client;
}

void web_client_close(struct web_client *client)
{
    if (!client) {
        return;
    }
    assert(list_is_empty(&client->active));
    web_multi_close(client->multi);
    loop_timer_free(client->soon);
    free((char *)client->policy.ca_file);
    free(client);
}
