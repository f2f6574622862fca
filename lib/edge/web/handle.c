#include "edge/web/handle.h"

#include "core/tunnel.h"
#include "edge/web/multi.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#define HEADER_BYTES_MAX (64 * 1024) /* of all replies to one request */
#define SEND_BYTES (128 * 1024L)
#define CONNECTION_LIFE_S 300L
/* A body that streams can't be sent twice: no connection is used for it that
 * the server may be about to close. */
#define STREAM_UNUSED_S 4L

static_assert(sizeof((struct web_call){0}.error) == CURL_ERROR_SIZE,
              "libcurl's own size");

/* ---- what libcurl calls ---- */

void web_call_wait(struct web_call *call)
{
    assert(call->hooks); /* it began */
    call->waits = true;
    if (call->has_rate) {
        rate_pause(&call->rate, loop_boot_ms(call->loop));
    }
}

static void moved(struct web_call *call, size_t len)
{
    assert(call->loop);
    call->last_ms = loop_boot_ms(call->loop);
    if (call->has_rate) {
        rate_add(&call->rate, (int64_t)len);
    }
}

static curl_socket_t on_open(void *context, curlsocktype purpose,
                             struct curl_sockaddr *address)
{
    struct web_call *call = context;
    bool may = purpose == CURLSOCKTYPE_IPCXN;
    may = may && (call->proxied || !call->hooks->may_reach ||
                  call->hooks->may_reach(call->context, &address->addr));
    return may ? web_multi_socket(address->family, address->socktype,
                                  address->protocol)
               : CURL_SOCKET_BAD;
}

/** Called after connecting, before each time that the request leaves. */
static int on_prereq(void *context, char *remote, char *local, int remote_port,
                     int local_port)
{
    struct web_call *call = context;
    assert(call->sends >= 0);
    (void)local;
    (void)remote_port;
    (void)local_port;
    if (call->hooks->may_send &&
        !call->hooks->may_send(call->context, call->proxied ? NULL : remote)) {
        call->gated = true;
        return CURL_PREREQFUNC_ABORT;
    }
    call->sends++;
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *context)
{
    struct web_call *call = context;
    /* libcurl keeps them, but for those of a tunnel that it then gives up. */
    const int status = call->proxied && call->sends == 0
                           ? tunnel_status((struct str){bytes, size * n})
                           : 0;
    call->tunnel = status ? status : call->tunnel;
    moved(call, size * n);
    call->header_bytes += size * n;
    return call->header_bytes <= HEADER_BYTES_MAX ? size * n : 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
    struct web_call *call = context;
    if (call->waits) {
        call->paused = true; /* these bytes come again */
        return CURL_WRITEFUNC_PAUSE;
    }
    moved(call, size * n);
    switch (call->hooks->on_body(call->context, bytes, size * n)) {
    case WEB_TAKEN:
        return size * n;
    case WEB_AGAIN:
        assert(call->waits);
        call->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    case WEB_REFUSED:
        break;
    }
    call->refused = true;
    return 0;
}

static size_t on_source(char *out, size_t size, size_t n, void *context)
{
    struct web_call *call = context;
    size_t len = 0;
    if (call->left > 0) {
        len = call->hooks->source(call->context, out, size * n);
        if (len == 0) {
            web_call_wait(call);
            call->paused = true;
            return CURL_READFUNC_PAUSE;
        }
    }
    assert(len <= size * n && (int64_t)len <= call->left);
    call->left -= (int64_t)len;
    moved(call, len);
    return len;
}

static size_t on_read(char *out, size_t size, size_t n, void *context)
{
    struct web_call *call = context;
    const size_t left = call->body.len - call->body_at;
    assert(call->body_at <= call->body.len);
    const size_t len = left < size * n ? left : size * n;
    memcpy(out, call->body.at + call->body_at, len);
    call->body_at += len;
    moved(call, len);
    return len;
}

/** libcurl sends again what went to a connection that was closed meanwhile. */
static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct web_call *call = context;
    assert(call->body_at <= call->body.len);
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > call->body.len) {
        return CURL_SEEKFUNC_CANTSEEK;
    }
    call->body_at = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static int on_no_seek(void *context, curl_off_t offset, int origin)
{
    (void)context;
    (void)offset;
    (void)origin;
    return CURL_SEEKFUNC_CANTSEEK;
}

/* ---- the handle ---- */

/** A text that libcurl copies. False: no memory; without it, the request would
 * be another one (a GET for a DELETE, by a proxy, past our CAs). */
static bool set_text(CURL *easy, CURLoption option, const char *text)
{
    return curl_easy_setopt(easy, option, text) == CURLE_OK;
}

/** Instead of the system's certificates, its folder of them too. */
static bool set_ca(CURL *easy, const char *file)
{
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    return set_text(easy, CURLOPT_CAINFO, file);
}

/** All of a proxy but whether it is used. No variable of the environment has a
 * say, and no header of ours but its own credentials is shown to it. */
static bool set_proxy(CURL *easy, const struct proxy *proxy)
{
    assert(proxy->port > 0);
    curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    curl_easy_setopt(easy, CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION,
                     (long)CURL_SSLVERSION_TLSv1_2);
    bool memory = true;
    if (proxy->user[0]) {
        memory = set_text(easy, CURLOPT_PROXYUSERNAME, proxy->user) &&
                 set_text(easy, CURLOPT_PROXYPASSWORD, proxy->password);
    }
    if (proxy->ca_file) {
        curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
        memory = set_text(easy, CURLOPT_PROXY_CAINFO, proxy->ca_file) && memory;
    }
    return memory;
}

/** Whether it goes through the proxy, by its host. */
static bool choose_way(struct web_call *call, const struct web_request *request)
{
    const struct proxy *proxy = call->policy->proxy;
    const struct str host = proxy_host_of(str_of(request->url));
    char url[PROXY_NAME_BYTES + sizeof "https://"] = "";
    call->proxied =
        !request->direct && host.len > 0 && proxy_leads_to(proxy, host);
    if (!proxy) {
        return true; /* as the handle was made */
    }
    if (call->proxied) {
        snprintf(url, sizeof url, "http%s://%s", proxy->secure ? "s" : "",
                 proxy->name);
    }
    return set_text(call->easy, CURLOPT_PROXY, url);
}

/** What stays of it from one request to the next. */
void *web_handle_new(const struct web_policy *policy)
{
    CURL *easy = curl_easy_init();
    if (!easy) {
        return NULL;
    }
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, policy->exact ? 1L : 0L);
    if (!set_text(easy, CURLOPT_PROTOCOLS_STR, "http,https") ||
        !set_text(easy, CURLOPT_PROXY, "") ||
        !set_text(easy, CURLOPT_NOPROXY, "") ||
        (policy->proxy && !set_proxy(easy, policy->proxy)) ||
        !set_text(easy, CURLOPT_USERAGENT,
                  "pixverse-worker/" PROGRAM_VERSION) ||
        (policy->ca_file && !set_ca(easy, policy->ca_file))) {
        curl_easy_cleanup(easy);
        return NULL;
    }
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S);
    return easy;
}

static void set_source(struct web_call *call, const struct web_request *request)
{
    CURL *easy = call->easy;
    assert(call->hooks->source);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_source);
    curl_easy_setopt(easy, CURLOPT_READDATA, call);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_no_seek);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                     (curl_off_t)request->source_bytes);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BYTES);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, STREAM_UNUSED_S);
}

/** False: no memory. */
static bool set_method(struct web_call *call, const struct web_request *request)
{
    CURL *easy = call->easy;
    if (strcmp(request->method, "POST") == 0) {
        /* No callback: header and body leave in one piece. */
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)request->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                         request->body.at ? request->body.at : "");
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        return true;
    }
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (strcmp(request->method, "GET") == 0) {
        return true;
    }
    if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "PUT") != 0) {
        return set_text(easy, CURLOPT_CUSTOMREQUEST, request->method);
    } else {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(easy, CURLOPT_READDATA, call);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                         (curl_off_t)request->body.len);
    }
    return true;
}

bool web_handle_set(struct web_call *call, const struct web_request *request)
{
    assert(call->easy && request->method[0] && request->url);
    CURL *easy = call->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    bool memory = set_text(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)request->connect_ms);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    if (request->ca_file) {
        memory = set_ca(easy, request->ca_file) && memory;
    }
    if (request->receive_bytes) {
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, request->receive_bytes);
    }
    memory = choose_way(call, request) && memory;
    memory = set_method(call, request) && memory;
    if (request->source_bytes >= 0) {
        set_source(call, request);
    }
    return memory;
}

/* ---- what came ---- */

int web_call_status(const struct web_call *call)
{
    long status = 0;
    if (call->sends > 0) {
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    }
    return (int)status;
}

int64_t web_call_length(const struct web_call *call)
{
    curl_off_t told = -1;
    curl_easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &told);
    return told;
}

static const struct curl_header *header_of(const struct web_call *call,
                                           const char *name, size_t n)
{
    assert(name[0]);
    struct curl_header *header = NULL;
    const CURLHcode code =
        call->sends > 0 /* else the handle's last request would answer */
            ? curl_easy_header(call->easy, name, n, CURLH_HEADER, -1, &header)
            : CURLHE_NOREQUEST;
    return code == CURLHE_OK ? header : NULL;
}

struct str web_call_header(const struct web_call *call, const char *name)
{
    const struct curl_header *header = header_of(call, name, 0);
    return str_of(header ? header->value : NULL);
}

void web_call_copy(const struct web_call *call, const char *name, char *out,
                   size_t out_bytes)
{
    assert(out_bytes > 0);
    const struct curl_header *header = header_of(call, name, 0);
    snprintf(out, out_bytes, "%s", header ? header->value : "");
}

void web_call_list(const struct web_call *call, const char *name, char *out,
                   size_t out_bytes)
{
    assert(out_bytes > 0);
    size_t len = 0;
    const struct curl_header *header;
    out[0] = '\0';
    for (size_t n = 0; len < out_bytes && (header = header_of(call, name, n));
         n++) {
        const int more = snprintf(out + len, out_bytes - len, "%s%s",
                                  n ? "," : "", header->value);
        len += more > 0 ? (size_t)more : 0;
    }
}
