#include "edge/web/fetch_own.h"

#include "edge/web/fetch_rules.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 1024
#define REDIRECTS_MAX 3
#define RECEIVE_BYTES (256 * 1024L)
#define KEPT_S 300L /* the longest life of a connection that is used again */
/* A host that gives less holds one of few slots for nothing. */
#define LEAST_BYTES_PER_S 4096
#define WINDOW_MS 60000

/* ---- ends ---------------------------------------------------------------- */

static void free_fetch(struct fetch *fetch)
{
    list_remove(&fetch->link);
    loop_timer_free(fetch->stall);
    curl_easy_cleanup(fetch->easy);
    decoder_free(fetch->decoder);
    buf_done(&fetch->location);
    free(fetch->url);
    free(fetch);
}

static enum reply_end end_of(const struct fetch *fetch, CURLcode code)
{
    if (fetch->cancelled) {
        return REPLY_CANCELLED;
    }
    if (fetch->stalled || fetch->slow) {
        return REPLY_TIMED_OUT;
    }
    if (fetch->too_large) {
        return REPLY_TOO_LARGE;
    }
    switch ((int)code) {
    case CURLE_OK:
        return fetch->starved || fetch->encoded || fetch->partial
                   ? REPLY_BROKEN
                   : REPLY_WHOLE;
    case CURLE_COULDNT_RESOLVE_HOST:
        return REPLY_UNRESOLVED;
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return REPLY_UNREACHED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return REPLY_UNTRUSTED;
    case CURLE_OPERATION_TIMEDOUT:
        return REPLY_TIMED_OUT;
    default:
        return REPLY_BROKEN;
    }
}

static bool is_chunked(const struct fetch *fetch)
{
    struct curl_header *header;
    return curl_easy_header(fetch->easy, "Transfer-Encoding", 0, CURLH_HEADER,
                            -1, &header) == CURLHE_OK &&
           str_find_nocase(str_of(header->value), STR("chunked")) >= 0;
}

static void end_fetch(struct fetch *fetch, CURLcode code)
{
    int status = fetch_status(fetch);
    bool found = status >= 200 && status < 300;
    if (code == CURLE_OK && found && !fetch->cancelled) {
        fetch_finish_body(fetch, status);
    }
    struct fetch_end end = {
        .end = end_of(fetch, code),
        .status = fetch->starved ? 0 : status, /* a redirect refuses nothing */
        .bytes = fetch->bytes,
        .length = fetch->length,
        .delimited = is_chunked(fetch),
        .retry_after_ms_hint = fetch->retry_after_ms,
    };
    bool good = end.end == REPLY_WHOLE && found;
    if (!good && fetch->shut_out && !fetch->reached && !fetch->cancelled) {
        fetch_forbid(fetch, fetch->shut_out);
    }
    end.forbidden = !good && fetch->forbidden;
    if (!good) {
        const char *why = fetch->why[0]      ? fetch->why
                          : fetch->starved   ? "no memory for a redirect"
                          : fetch->stalled   ? "no byte came for too long"
                          : fetch->slow      ? "the host gave less than 4 KiB a "
                                               "second for a minute"
                          : fetch->error[0]  ? fetch->error
                          : code != CURLE_OK ? curl_easy_strerror(code)
                                             : "";
        snprintf(end.why, sizeof end.why, "%.159s", why);
    }
    const struct fetch_hooks *hooks = fetch->hooks;
    void *context = fetch->context;
    free_fetch(fetch);
    hooks->on_end(context, &end);
}

/** Follow one redirect by hand; false: there is none to follow. */
static bool follow(struct fetch *fetch)
{
    const char *fault = NULL;
    int status = fetch_status(fetch);
    if (status < 300 || status > 399 || fetch->cancelled ||
        fetch->fetcher->closing) {
        return false;
    }
    fetch->starved = fetch->location.failed;
    if (fetch->starved || fetch->location.len == 0) {
        return false;
    }
    if (fetch->redirects++ >= REDIRECTS_MAX) {
        return fetch_forbid(fetch, "too many redirects");
    }
    if (fetch->far) {
        return fetch_forbid(fetch, "a redirect to too long a URL");
    }
    char *url = fetch_url_read(fetch->url, buf_str(&fetch->location),
                               fetch_allows_private(fetch), &fault);
    fetch->starved = !url && !fault;
    if (!url) {
        return fault && fetch_forbid(fetch, fault);
    }
    free(fetch->url);
    fetch->url = url;
    fetch->error_bytes = 0;
    fetch->reached = false;
    fetch->shut_out = NULL;
    fetch_begin_reply(fetch);
    fetch->last_ms = loop_boot_ms(fetch->fetcher->loop);
    curl_easy_setopt(fetch->easy, CURLOPT_URL, url);
    fetch->starved = !loop_curl_add(fetch->fetcher->curl, fetch->easy);
    return !fetch->starved;
}

static void on_done(void *context, void *easy, int code)
{
    struct fetch *fetch = NULL;
    (void)context;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &fetch);
    if (follow(fetch)) {
        return;
    }
    end_fetch(fetch, (CURLcode)code);
}

/** When the clocks of the fetch are looked at again. */
static void watch_clocks(struct fetch *fetch, int64_t now_ms)
{
    const int64_t stall_ms = fetch->last_ms + fetch->stall_ms - now_ms;
    const int64_t rate_ms = rate_left_ms(&fetch->rate, now_ms);
    loop_timer_set(fetch->stall, stall_ms < rate_ms ? stall_ms : rate_ms);
}

/** A host that gives too little: whether it may go on, nobody else waiting. */
static bool bears(struct fetch *fetch)
{
    return fetch->hooks->on_slow && fetch->hooks->on_slow(fetch->context);
}

static void on_stall(void *context)
{
    struct fetch *fetch = context;
    int64_t now_ms = loop_boot_ms(fetch->fetcher->loop);
    if (fetch->pause) {
        fetch->last_ms = now_ms;
    }
    fetch->stalled = now_ms - fetch->last_ms >= fetch->stall_ms;
    fetch->slow = !fetch->stalled && rate_is_low(&fetch->rate, now_ms) &&
                  !bears(fetch);
    if (!fetch->stalled && !fetch->slow) {
        watch_clocks(fetch, now_ms);
        return;
    }
    loop_curl_remove(fetch->fetcher->curl, fetch->easy);
    end_fetch(fetch, CURLE_OPERATION_TIMEDOUT);
}

/* ---- the door ------------------------------------------------------------ */

static void set_options(struct fetch *fetch, int64_t connect_ms)
{
    CURL *easy = fetch->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_URL, fetch->url);
    fetch_listen(fetch);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, KEPT_S);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->fetcher->headers);
    curl_easy_setopt(easy, CURLOPT_USERAGENT,
                     "pixverse-worker/" PROGRAM_VERSION);
    if (fetch->fetcher->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->fetcher->ca_file);
    }
}

static struct fetch *fetch_new(struct fetcher *fetcher, char *url,
                               int64_t stall_ms,
                               const struct fetch_hooks *fetch_hooks,
                               void *context)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch) {
        free(url);
        return NULL;
    }
    const int64_t now_ms = loop_boot_ms(fetcher->loop);
    *fetch = (struct fetch){
        .fetcher = fetcher,
        .easy = curl_easy_init(),
        .stall = loop_timer_new(fetcher->loop, on_stall, fetch),
        .hooks = fetch_hooks,
        .context = context,
        .url = url,
        .stall_ms = stall_ms,
        .last_ms = now_ms,
        .length = -1,
    };
    list_init(&fetch->link);
    buf_init(&fetch->location, FETCH_LOCATION_BYTES_MAX);
    rate_begin(&fetch->rate,
               fetcher->options.window_ms ? fetcher->options.window_ms
                                          : WINDOW_MS,
               LEAST_BYTES_PER_S, now_ms);
    if (!fetch->easy || !fetch->stall) {
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
    const char *fault = NULL;
    if (fetcher->closing) {
        err_set(err, ERR_TRANSIENT, "stopping");
        return NULL;
    }
    char *text =
        fetch_url_read(NULL, url, fetcher->options.allow_private, &fault);
    if (fault) {
        err_set(err, ERR_PERMANENT, "%s", fault);
        return NULL;
    }
    struct fetch *fetch =
        text ? fetch_new(fetcher, text, stall_ms, hooks, context) : NULL;
    if (!fetch) {
        err_set(err, ERR_TRANSIENT, "no memory for a download");
        return NULL;
    }
    set_options(fetch, connect_ms);
    list_add_tail(&fetcher->active, &fetch->link);
    if (!loop_curl_add(fetcher->curl, fetch->easy)) {
        free_fetch(fetch);
        err_set(err, ERR_TRANSIENT, "libcurl did not take the download");
        return NULL;
    }
    watch_clocks(fetch, fetch->last_ms);
    return fetch;
}

static void resume_all(struct fetcher *fetcher)
{
    for (struct list *at = fetcher->active.next; at != &fetcher->active;) {
        struct fetch *fetch = LIST_OWNER(at, struct fetch, link);
        at = at->next;
        if (fetch->resume) {
            fetch->resume = false;
            fetch->pause = false;
            fetch->last_ms = loop_boot_ms(fetcher->loop);
            rate_resume(&fetch->rate, fetch->last_ms);
            if (fetch->paused) {
                fetch->paused = false;
                curl_easy_pause(fetch->easy, CURLPAUSE_CONT);
            }
        }
    }
    loop_curl_look(fetcher->curl);
}

static void cancel_all(struct fetcher *fetcher)
{
    for (struct list *at = fetcher->active.next; at != &fetcher->active;) {
        struct fetch *fetch = LIST_OWNER(at, struct fetch, link);
        at = at->next;
        if (fetch->cancelled) {
            loop_curl_remove(fetcher->curl, fetch->easy);
            end_fetch(fetch, CURLE_ABORTED_BY_CALLBACK);
            at = fetcher->active.next; /* an end may have begun others */
        }
    }
}

static void on_soon(void *context)
{
    resume_all(context);
    cancel_all(context);
}

void fetch_resume(struct fetch *fetch)
{
    fetch->resume = true;
    loop_timer_set(fetch->fetcher->soon, 0);
}

void fetch_cancel(struct fetch *fetch)
{
    fetch->cancelled = true;
    loop_timer_set(fetch->fetcher->soon, 0);
}

struct fetcher *fetcher_open(struct loop *loop,
                             const struct fetcher_options *options,
                             struct err *err)
{
    struct fetcher *fetcher = calloc(1, sizeof *fetcher);
    if (!fetcher) {
        err_set(err, ERR_FATAL, "no memory for downloads");
        return NULL;
    }
    *fetcher = (struct fetcher){
        .loop = loop,
        .options = *options,
        .ca_file = options->ca_file ? strdup(options->ca_file) : NULL,
        .headers = curl_slist_append(NULL, "Accept-Encoding: identity"),
        .soon = loop_timer_new(loop, on_soon, fetcher),
    };
    list_init(&fetcher->active);
    fetcher->curl =
        loop_curl_open(loop, CONNECTIONS_MAX, on_done, fetcher, err);
    if (!fetcher->curl || !fetcher->soon || !fetcher->headers ||
        (options->ca_file && !fetcher->ca_file)) {
        err_set(err, ERR_FATAL, "no memory for downloads");
        fetcher_close(fetcher);
        return NULL;
    }
    return fetcher;
}

void fetcher_close(struct fetcher *fetcher)
{
    fetcher->closing = true;
    for (struct list *at = fetcher->active.next; at != &fetcher->active;
         at = at->next) {
        LIST_OWNER(at, struct fetch, link)->cancelled = true;
    }
    cancel_all(fetcher);
    loop_curl_close(fetcher->curl);
    loop_timer_free(fetcher->soon);
    curl_slist_free_all(fetcher->headers);
    free(fetcher->ca_file);
    free(fetcher);
}
