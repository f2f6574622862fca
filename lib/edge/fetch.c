#include "edge/fetch.h"

#include "base/list.h"
#include "core/request.h"
#include "edge/loop_curl.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define REDIRECTS_MAX 3
#define RECEIVE_BYTES (256 * 1024L)
#define ERROR_BODY_MAX                                                         \
    65536 /* of a reply that is no video; the rest is cut                      \
           */

struct fetch {
    struct list link;
    struct fetcher *fetcher;
    CURL *easy;
    struct loop_timer *stall;
    const struct fetch_hooks *hooks;
    void *context;
    int64_t stall_ms;
    int64_t last_ms; /* boot clock of the last byte, or of the pause's end */
    int64_t bytes;   /* of the body, handed to the reader */
    int64_t error_bytes; /* of the body of a reply that is no video */
    int64_t length;
    int redirects;
    bool head_told;
    bool encoded; /* a Content-Encoding that we did not ask for */
    bool pause;   /* the reader wants no more for now */
    bool paused;  /* libcurl was told so */
    bool resume;  /* to be told that it goes on */
    bool forbidden;
    bool reached;         /* for an address that is allowed */
    const char *shut_out; /* why another address of the host was not tried */
    bool partial;         /* a 206 that we did not ask for */
    bool too_large;
    bool refused; /* the reader did not want this body */
    bool cancelled;
    bool stalled;
    bool starved; /* there was no memory to follow a redirect */
    int64_t retry_after_ms;
    char why[160];
    char error[CURL_ERROR_SIZE];
};

struct fetcher {
    struct loop *loop;
    struct fetcher_options options;
    char *ca_file;
    struct loop_curl *curl;
    struct list active;
    struct loop_timer *soon; /* resumes and cancels, outside libcurl */
    bool closing;
};

/* ---- what is allowed ----------------------------------------------------- */

static bool forbid(struct fetch *fetch, const char *why)
{
    fetch->forbidden = true;
    snprintf(fetch->why, sizeof fetch->why, "%s", why);
    return false;
}

/** null: fine. */
static const char *address_fault(const struct fetch *fetch, int family,
                                 const void *bytes)
{
    if (address_is_link_local(family, bytes)) {
        return "the video's host has a link-local address";
    }
    if (!fetch->fetcher->options.allow_private &&
        !address_is_public(family, bytes)) {
        return "the video's host has no public address";
    }
    return NULL;
}

static const char *socket_address_fault(const struct fetch *fetch,
                                        const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        return address_fault(fetch, 4, &in->sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        return address_fault(fetch, 6, &in6->sin6_addr);
    }
    return "the video's host has an address of no known kind";
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

/** null: fine. The one parser that judges it is the one that will use it.
 *
 * @param starved  Set if it could not be judged: no memory. */
static const char *url_fault(const char *text, bool allow_private,
                             bool *starved)
{
    CURLU *url = curl_url();
    CURLUcode code = url ? curl_url_set(url, CURLUPART_URL, text,
                                        CURLU_NON_SUPPORT_SCHEME)
                         : CURLUE_OUT_OF_MEMORY;
    const char *fault = code == CURLUE_OK ? part_fault(url, allow_private)
                                          : "the video's URL can't be read";
    *starved = code == CURLUE_OUT_OF_MEMORY;
    curl_url_cleanup(url);
    return fault;
}

/* ---- what libcurl calls -------------------------------------------------- */

static curl_socket_t on_open_socket(void *context, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct fetch *fetch = context;
    const char *fault = purpose == CURLSOCKTYPE_IPCXN
                            ? socket_address_fault(fetch, &address->addr)
                            : "a socket for something else";
    if (fault) {
        fetch->shut_out = fault;
        return CURL_SOCKET_BAD;
    }
    fetch->reached = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC,
                  address->protocol);
}

/** A connection that is used again opens no socket: judged here. */
static int on_prereq(void *context, char *remote, char *local, int remote_port,
                     int local_port)
{
    struct fetch *fetch = context;
    unsigned char bytes[16];
    (void)local;
    (void)remote_port;
    (void)local_port;
    const char *fault = "the video's host has an address of no known kind";
    if (inet_pton(AF_INET, remote, bytes) == 1) {
        fault = address_fault(fetch, 4, bytes);
    } else if (inet_pton(AF_INET6, remote, bytes) == 1) {
        fault = address_fault(fetch, 6, bytes);
    }
    if (fault) {
        forbid(fetch, fault);
        return CURL_PREREQFUNC_ABORT;
    }
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *context)
{
    struct fetch *fetch = context;
    struct str line = {bytes, size * n};
    fetch->last_ms = loop_boot_ms(fetch->fetcher->loop);
    const struct str encoding = STR("content-encoding:");
    const struct str retry = STR("retry-after:");
    if (line.len > encoding.len &&
        str_eq_nocase((struct str){line.at, encoding.len}, encoding)) {
        struct str value = str_trim(
            (struct str){line.at + encoding.len, line.len - encoding.len});
        fetch->encoded = !str_eq_nocase(value, STR("identity"));
    } else if (line.len > retry.len &&
               str_eq_nocase((struct str){line.at, retry.len}, retry)) {
        struct str value =
            str_trim((struct str){line.at + retry.len, line.len - retry.len});
        int64_t seconds = 0;
        if (str_to_i64(value, 0, 600, &seconds)) {
            fetch->retry_after_ms = seconds * 1000;
        }
    }
    return line.len;
}

static int status_of(const struct fetch *fetch)
{
    long status = 0;
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static bool tell_head(struct fetch *fetch, int status)
{
    curl_off_t length = -1;
    char *type = NULL;
    curl_easy_getinfo(fetch->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    curl_easy_getinfo(fetch->easy, CURLINFO_CONTENT_TYPE, &type);
    fetch->head_told = true;
    fetch->length = length;
    if (fetch->encoded) {
        snprintf(fetch->why, sizeof fetch->why,
                 "the video came in an encoding that was not asked for");
        return false;
    }
    if (status == 206) {
        fetch->partial = true;
        snprintf(fetch->why, sizeof fetch->why,
                 "the video came as a part that was not asked for");
        return false;
    }
    if (length > fetch->fetcher->options.bytes_max) {
        fetch->too_large = true;
        return false;
    }
    fetch->refused =
        !fetch->hooks->on_head(fetch->context, status, length, str_of(type));
    return !fetch->refused;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
    struct fetch *fetch = context;
    size_t len = size * n;
    int status = status_of(fetch);
    fetch->last_ms = loop_boot_ms(fetch->fetcher->loop);
    if (status < 200 || status > 299) {
        fetch->error_bytes += (int64_t)len;
        return fetch->error_bytes <= ERROR_BODY_MAX ? len : 0;
    }
    if (fetch->pause) {
        fetch->paused = true; /* these bytes come again */
        return CURL_WRITEFUNC_PAUSE;
    }
    if (!fetch->head_told && !tell_head(fetch, status)) {
        return 0;
    }
    if (fetch->bytes + (int64_t)len > fetch->fetcher->options.bytes_max) {
        fetch->too_large = true;
        return 0;
    }
    fetch->bytes += (int64_t)len;
    fetch->pause = !fetch->hooks->on_data(fetch->context, bytes, len);
    return len;
}

/* ---- ends ---------------------------------------------------------------- */

static void free_fetch(struct fetch *fetch)
{
    list_remove(&fetch->link);
    loop_timer_free(fetch->stall);
    curl_easy_cleanup(fetch->easy);
    free(fetch);
}

static enum reply_end end_of(const struct fetch *fetch, CURLcode code)
{
    if (fetch->cancelled) {
        return REPLY_CANCELLED;
    }
    if (fetch->stalled) {
        return REPLY_TIMED_OUT;
    }
    if (fetch->too_large) {
        return REPLY_TOO_LARGE;
    }
    switch ((int)code) {
    case CURLE_OK:
        return fetch->starved || fetch->encoded || fetch->partial ? REPLY_BROKEN : REPLY_WHOLE;
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

static void end_fetch(struct fetch *fetch, CURLcode code)
{
    int status = status_of(fetch);
    bool found = status >= 200 && status < 300;
    if (code == CURLE_OK && found && !fetch->head_told && !fetch->cancelled) {
        tell_head(fetch, status); /* an empty body calls nobody */
    }
    struct fetch_end end = {
        .end = end_of(fetch, code),
        .status = fetch->starved ? 0 : status, /* a redirect refuses nothing */
        .bytes = fetch->bytes,
        .length = fetch->length,
        .retry_after_ms_hint = fetch->retry_after_ms,
    };
    bool good = end.end == REPLY_WHOLE && found;
    if (!good && fetch->shut_out && !fetch->reached && !fetch->cancelled) {
        forbid(fetch, fetch->shut_out);
    }
    end.forbidden = !good && fetch->forbidden;
    if (!good) {
        const char *why = fetch->why[0]      ? fetch->why
                          : fetch->starved   ? "no memory for a redirect"
                          : fetch->stalled   ? "no byte came for too long"
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
    char *location = NULL;
    int status = status_of(fetch);
    if (status < 300 || status > 399 || fetch->cancelled ||
        fetch->fetcher->closing) {
        return false;
    }
    curl_easy_getinfo(fetch->easy, CURLINFO_REDIRECT_URL, &location);
    if (!location) {
        return false;
    }
    if (fetch->redirects++ >= REDIRECTS_MAX) {
        return forbid(fetch, "too many redirects");
    }
    const char *fault = url_fault(
        location, fetch->fetcher->options.allow_private, &fetch->starved);
    char *copy = strdup(location);
    fetch->starved = fetch->starved || !copy;
    if (fetch->starved || fault) {
        free(copy);
        return !fetch->starved && forbid(fetch, fault);
    }
    fetch->error_bytes = 0;
    fetch->encoded = false;
    fetch->reached = false;
    fetch->shut_out = NULL;
    fetch->retry_after_ms = 0;
    fetch->last_ms = loop_boot_ms(fetch->fetcher->loop);
    curl_easy_setopt(fetch->easy, CURLOPT_URL, copy);
    free(copy);
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

static void on_stall(void *context)
{
    struct fetch *fetch = context;
    int64_t now_ms = loop_boot_ms(fetch->fetcher->loop);
    if (fetch->pause) {
        fetch->last_ms = now_ms;
    }
    int64_t left_ms = fetch->last_ms + fetch->stall_ms - now_ms;
    if (left_ms > 0) {
        loop_timer_set(fetch->stall, left_ms);
        return;
    }
    fetch->stalled = true;
    loop_curl_remove(fetch->fetcher->curl, fetch->easy);
    end_fetch(fetch, CURLE_OPERATION_TIMEDOUT);
}

/* ---- the door ------------------------------------------------------------ */

static void set_options(struct fetch *fetch, const char *url,
                        int64_t connect_ms)
{
    CURL *easy = fetch->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    curl_easy_setopt(easy, CURLOPT_USERAGENT,
                     "pixverse-worker/" PROGRAM_VERSION);
    if (fetch->fetcher->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->fetcher->ca_file);
    }
}

struct fetch *fetch_start(struct fetcher *fetcher, struct str url,
                          int64_t connect_ms, int64_t stall_ms,
                          const struct fetch_hooks *hooks, void *context,
                          struct err *err)
{
    if (fetcher->closing) {
        err_set(err, ERR_TRANSIENT, "stopping");
        return NULL;
    }
    char *text = strndup(url.at ? url.at : "", url.len);
    bool starved = !text;
    const char *fault =
        text ? url_fault(text, fetcher->options.allow_private, &starved) : NULL;
    if (starved) {
        free(text);
        err_set(err, ERR_TRANSIENT, "no memory for a download");
        return NULL;
    }
    if (strlen(text) != url.len) {
        fault = "the video's URL can't be read";
    }
    if (fault) {
        free(text);
        err_set(err, ERR_PERMANENT, "%s", fault);
        return NULL;
    }
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch) {
        *fetch = (struct fetch){
            .fetcher = fetcher,
            .easy = curl_easy_init(),
            .stall = loop_timer_new(fetcher->loop, on_stall, fetch),
            .hooks = hooks,
            .context = context,
            .stall_ms = stall_ms,
            .last_ms = loop_boot_ms(fetcher->loop),
            .length = -1,
        };
        list_init(&fetch->link);
    }
    if (!fetch || !fetch->easy || !fetch->stall) {
        if (fetch) {
            free_fetch(fetch);
        }
        free(text);
        err_set(err, ERR_TRANSIENT, "no memory for a download");
        return NULL;
    }
    set_options(fetch, text, connect_ms);
    free(text);
    list_add_tail(&fetcher->active, &fetch->link);
    if (!loop_curl_add(fetcher->curl, fetch->easy)) {
        free_fetch(fetch);
        err_set(err, ERR_TRANSIENT, "libcurl did not take the download");
        return NULL;
    }
    loop_timer_set(fetch->stall, stall_ms);
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
        .soon = loop_timer_new(loop, on_soon, fetcher),
    };
    list_init(&fetcher->active);
    fetcher->curl =
        loop_curl_open(loop, CONNECTIONS_MAX, on_done, fetcher, err);
    if (!fetcher->curl || !fetcher->soon ||
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
    free(fetcher->ca_file);
    free(fetcher);
}
