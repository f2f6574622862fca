#include "edge/pages.h"

#include "edge/admin/ports.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64u
#define TIMEOUT_S 30u
#define CONNECTION_BYTES ((size_t)32 * 1024)
#define STREAM_BYTES 4096

struct pages {
    struct pages_options options;
    struct ports ports;
    atomic_bool closing;
};

/** A question while its body comes. */
struct asking {
    struct buf body;
    bool too_large;
};

/* ---- what was asked ---- */

const char *page_query(const struct page_ask *ask, const char *name)
{
    return MHD_lookup_connection_value(ask->own, MHD_GET_ARGUMENT_KIND, name);
}

const char *page_header(const struct page_ask *ask, const char *name)
{
    return MHD_lookup_connection_value(ask->own, MHD_HEADER_KIND, name);
}

const char *page_cookie(const struct page_ask *ask, const char *name)
{
    return MHD_lookup_connection_value(ask->own, MHD_COOKIE_KIND, name);
}

struct each {
    void (*fn)(void *context, const char *name, const char *value);
    void *context;
};

static enum MHD_Result on_query(void *context, enum MHD_ValueKind kind,
                                const char *name, const char *value)
{
    const struct each *each = context;
    (void)kind;
    each->fn(each->context, name, value ? value : "");
    return MHD_YES;
}

void page_each_query(const struct page_ask *ask,
                     void (*fn)(void *context, const char *name,
                                const char *value),
                     void *context)
{
    struct each each = {fn, context};
    MHD_get_connection_values(ask->own, MHD_GET_ARGUMENT_KIND, on_query, &each);
}

static void name_peer(struct MHD_Connection *connection, char *out,
                      size_t out_bytes)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    snprintf(out, out_bytes, "?");
    if (info && info->client_addr->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)info->client_addr;
        inet_ntop(AF_INET, &four->sin_addr, out, (socklen_t)out_bytes);
    } else if (info && info->client_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)info->client_addr;
        inet_ntop(AF_INET6, &six->sin6_addr, out, (socklen_t)out_bytes);
    }
}

/* ---- the answer ---- */

/** A number at the start of *text, which moves behind it. */
static bool take_number(const char **text, uint64_t *number)
{
    const char *at = *text;
    *number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (*number > (UINT64_MAX - 9) / 10) {
            return false;
        }
        *number = 10 * *number + (uint64_t)(*at - '0');
    }
    bool any = at > *text;
    *text = at;
    return any;
}

int page_range(const char *header, uint64_t bytes, uint64_t *first,
               uint64_t *len)
{
    uint64_t from = 0;
    uint64_t to = 0;
    *first = 0;
    *len = bytes;
    if (!header || strncmp(header, "bytes=", 6) != 0) {
        return 200;
    }
    const char *at = header + 6;
    const bool has_from = take_number(&at, &from);
    if (*at++ != '-') {
        return 200;
    }
    const bool has_to = take_number(&at, &to);
    if (*at != '\0' || (!has_from && !has_to) ||
        (has_from && has_to && to < from)) {
        return 200;
    }
    if (!has_from) { /* the last so many */
        from = to < bytes ? bytes - to : 0;
        to = bytes;
    } else if (!has_to || to >= bytes) {
        to = bytes;
    } else {
        to++;
    }
    if (from >= to) {
        return 416;
    }
    *first = from;
    *len = to - from;
    return 206;
}

static ssize_t read_stream(void *context, uint64_t at, char *out, size_t bytes)
{
    struct page_answer *answer = context;
    (void)at;
    ptrdiff_t got = answer->stream(answer->stream_own, out, bytes);
    assert(got != 0 && got <= (ptrdiff_t)bytes);
    return got > 0 ? (ssize_t)got : MHD_CONTENT_READER_END_OF_STREAM;
}

static void end_stream(void *context)
{
    struct page_answer *answer = context;
    if (answer->stream_end) {
        answer->stream_end(answer->stream_own);
    }
    free(answer);
}

static struct MHD_Response *stream_response(const struct page_answer *answer)
{
    struct page_answer *own = malloc(sizeof *own);
    struct MHD_Response *response = NULL;
    if (own) {
        *own = *answer;
        response = MHD_create_response_from_callback(
            MHD_SIZE_UNKNOWN, STREAM_BYTES, read_stream, own, end_stream);
        if (response) {
            return response;
        }
        free(own);
    }
    if (answer->stream_end) {
        answer->stream_end(answer->stream_own);
    }
    return NULL;
}

static struct MHD_Response *file_response(const struct page_ask *ask,
                                          struct page_answer *answer)
{
    uint64_t first = 0;
    uint64_t len = 0;
    char range[80];
    answer->status =
        page_range(page_header(ask, "Range"), answer->file_bytes, &first, &len);
    if (answer->status == MHD_HTTP_RANGE_NOT_SATISFIABLE) {
        close(answer->file);
        return MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    }
    struct MHD_Response *response =
        MHD_create_response_from_fd_at_offset64(len, answer->file, first);
    if (!response) {
        close(answer->file);
        return NULL;
    }
    MHD_add_response_header(response, "Accept-Ranges", "bytes");
    if (answer->status == MHD_HTTP_PARTIAL_CONTENT) {
        snprintf(range, sizeof range, "bytes %llu-%llu/%llu",
                 (unsigned long long)first,
                 (unsigned long long)(first + len - 1),
                 (unsigned long long)answer->file_bytes);
        MHD_add_response_header(response, "Content-Range", range);
    }
    return response;
}

static struct MHD_Response *response_of(const struct page_ask *ask,
                                        struct page_answer *answer)
{
    if (answer->stream) {
        return stream_response(answer);
    }
    if (answer->file >= 0) {
        return file_response(ask, answer);
    }
    struct str text = buf_str(answer->body);
    if (answer->body->failed) {
        answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        text = STR("no memory\n");
    }
    return MHD_create_response_from_buffer(text.len, (void *)(uintptr_t)text.at,
                                           MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result respond(struct pages *pages, const struct page_ask *ask,
                               struct page_answer *answer)
{
    static const char *const always[][2] = {
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cache-Control", "no-store"},
    };
    struct MHD_Response *response = response_of(ask, answer);
    if (!response) {
        return MHD_NO;
    }
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        MHD_add_response_header(response, always[i][0], always[i][1]);
    }
    MHD_add_response_header(response, "Content-Security-Policy",
                            pages->options.content_policy);
    MHD_add_response_header(response, "Content-Type", answer->content_type);
    if (answer->cookie) {
        MHD_add_response_header(response, "Set-Cookie", answer->cookie);
    }
    if (answer->location) {
        MHD_add_response_header(response, "Location", answer->location);
    }
    if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, "Allow", "GET, HEAD, POST");
    }
    enum MHD_Result result =
        MHD_queue_response(ask->own, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_ask(struct pages *pages,
                                  struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  struct asking *asking)
{
    char from[INET6_ADDRSTRLEN];
    struct buf body;
    buf_init(&body, 0);
    name_peer(connection, from, sizeof from);
    const bool head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    const struct page_ask ask = {.method = head ? "GET" : method,
                                 .path = url,
                                 .body = buf_str(&asking->body),
                                 .from = from,
                                 .own = connection};
    struct page_answer answer = {.status = 200,
                                 .content_type = "text/plain; charset=utf-8",
                                 .body = &body,
                                 .file = -1};
    if (asking->too_large || asking->body.failed) {
        answer.status = MHD_HTTP_CONTENT_TOO_LARGE;
        buf_printf(&body, "at most %zu bytes\n", pages->options.body_bytes_max);
    } else if (strcmp(ask.method, "GET") != 0 &&
               strcmp(ask.method, "POST") != 0) {
        answer.status = MHD_HTTP_METHOD_NOT_ALLOWED;
        buf_add_text(&body, "only GET, HEAD and POST\n");
    } else {
        pages->options.answer(pages->options.context, &ask, &answer);
    }
    enum MHD_Result result = respond(pages, &ask, &answer);
    free(answer.location);
    buf_done(&body);
    return result;
}

static enum MHD_Result on_request(void *context,
                                  struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_len, void **state)
{
    struct pages *pages = context;
    struct asking *asking = *state;
    (void)version;
    if (!asking) {
        *state = asking = calloc(1, sizeof *asking);
        if (asking) {
            buf_init(&asking->body, pages->options.body_bytes_max);
        }
        return asking ? MHD_YES : MHD_NO;
    }
    if (*upload_len) {
        buf_add(&asking->body, upload, *upload_len);
        asking->too_large |= asking->body.failed;
        *upload_len = 0;
        return MHD_YES;
    }
    return answer_ask(pages, connection, url, method, asking);
}

static void on_completed(void *context, struct MHD_Connection *connection,
                         void **state, enum MHD_RequestTerminationCode code)
{
    struct asking *asking = *state;
    (void)context;
    (void)connection;
    (void)code;
    if (asking) {
        buf_done(&asking->body);
        free(asking);
        *state = NULL;
    }
}

/* ---- the server ---- */

struct pages *pages_open(const struct pages_options *options, struct err *err)
{
    assert(options->answer && options->content_policy && options->listen);
    struct pages *pages = calloc(1, sizeof *pages);
    if (!pages) {
        err_set(err, ERR_FATAL, "no memory for the server");
        return NULL;
    }
    pages->options = *options;
    const struct ports_options ports = {.setting = "--listen",
                                        .listen = options->listen,
                                        .connections_max = CONNECTIONS_MAX,
                                        .timeout_s = TIMEOUT_S,
                                        .connection_bytes = CONNECTION_BYTES,
                                        .on_request = on_request,
                                        .on_completed = on_completed,
                                        .context = pages};
    if (!ports_open(&pages->ports, &ports, err)) {
        free(pages);
        return NULL;
    }
    return pages;
}

int pages_port(const struct pages *pages)
{
    return ports_number(&pages->ports);
}

void pages_close(struct pages *pages)
{
    atomic_store(&pages->closing, true);
    ports_close(&pages->ports);
    free(pages);
}
