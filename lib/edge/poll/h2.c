#include "edge/poll/h2.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MAX 256
#define ROOM_UNTOLD 100 /* until the server's settings have come */
#define WINDOW_BYTES (1 << 20)
#define CONNECTION_WINDOW_BYTES (16 << 20)
#define OUT_BYTES_MAX (1 << 20)

struct h2 {
    nghttp2_session *session;
    struct poll_conn *conn;
    bool told; /* its settings have come */
};

static struct poll_call *call_of(nghttp2_session *session, int32_t stream)
{
    return stream ? nghttp2_session_get_stream_user_data(session, stream)
                  : NULL;
}

/* ---- what comes ---- */

static void keep(char *out, size_t out_bytes, const uint8_t *value, size_t len)
{
    snprintf(out, out_bytes, "%.*s", (int)len, (const char *)value);
}

static void begin_head(struct poll_call *call, const uint8_t *status,
                       size_t len)
{
    int64_t value = 0;
    (void)str_to_i64((struct str){(const char *)status, len}, 100, 999, &value);
    call->status = (int)value;
    call->retry_after[0] = '\0';
    call->content_type[0] = '\0';
    call->coding[0] = '\0';
}

static void add_coding(struct poll_call *call, const uint8_t *value, size_t len)
{
    const size_t had = strlen(call->coding);
    snprintf(call->coding + had, sizeof call->coding - had, "%s%.*s",
             had ? "," : "", (int)len, (const char *)value);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name_at, size_t name_len,
                     const uint8_t *value, size_t len, uint8_t flags,
                     void *context)
{
    const struct str name = {(const char *)name_at, name_len};
    struct poll_call *call = call_of(session, frame->hd.stream_id);
    (void)flags;
    (void)context;
    if (!call) {
        return 0;
    }
    call->head_bytes += name_len + len + 32;
    if (call->head_bytes > HTTP1_HEAD_BYTES_MAX) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the stream ends */
    }
    if (call->head_done) {
        return 0; /* trailers */
    }
    if (str_eq(name, STR(":status"))) {
        begin_head(call, value, len);
    } else if (str_eq(name, STR("retry-after"))) {
        if (!call->retry_after[0]) {
            keep(call->retry_after, sizeof call->retry_after, value, len);
        }
    } else if (str_eq(name, STR("content-type"))) {
        if (!call->content_type[0]) {
            keep(call->content_type, sizeof call->content_type, value, len);
        }
    } else if (str_eq(name, STR("content-encoding"))) {
        add_coding(call, value, len);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream,
                   const uint8_t *bytes, size_t len, void *context)
{
    struct poll_call *call = call_of(session, stream);
    (void)flags;
    (void)context;
    if (!call || call->too_large) {
        return 0;
    }
    buf_add(&call->body, bytes, len);
    if (call->body.failed) {
        call->too_large = true;
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream,
                                  NGHTTP2_CANCEL);
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame,
                    void *context)
{
    struct h2 *h2 = context;
    struct poll_call *call = call_of(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_SETTINGS &&
        !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        h2->told = true;
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
        conn_leave(h2->conn); /* what it still answers, it answers */
    }
    if (!call) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && call->status >= 200) {
        call->head_done = true;
    }
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        call->done = true;
    }
    return 0;
}

/** A stream that the server has not begun to serve: REFUSED_STREAM, or one
 * above the last that its GOAWAY names (RFC 9113 6.8, 8.7). */
static bool is_unserved(const struct poll_call *call, uint32_t code)
{
    return code == NGHTTP2_REFUSED_STREAM && call->head_bytes == 0 &&
           call->lost == 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream,
                           uint32_t code, void *context)
{
    struct h2 *h2 = context;
    struct poll_call *call = call_of(session, stream);
    char why[120];
    if (!call) {
        return 0;
    }
    conn_give_up(h2->conn, call);
    if (call->too_large) {
        poller_fail(call, REPLY_TOO_LARGE, "the body is over 1 MiB");
    } else if (is_unserved(call, code)) {
        poller_put_back(call);
    } else if (call->done && call->status >= 200) {
        h2->conn->kept = true;
        poller_fail(call, REPLY_WHOLE, NULL);
    } else {
        snprintf(why, sizeof why, "the server ended the stream: %s",
                 call->head_bytes > HTTP1_HEAD_BYTES_MAX
                     ? "its head is over 64 KiB"
                     : nghttp2_http2_strerror(code));
        poller_fail(call, REPLY_BROKEN, why);
    }
    return 0;
}

/* ---- the session ---- */

static bool set_callbacks(struct h2 *h2)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return false;
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks,
                                                              on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
                                                           on_stream_close);
    int code = nghttp2_option_new(&option);
    if (code == 0) {
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_mem mem = {&h2->conn->poller->cells, cells_take, cells_give,
                           cells_take_zeros, cells_resize};
        code = nghttp2_session_client_new3(&h2->session, callbacks, h2, option,
                                           &mem);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return code == 0;
}

static void h2_close(struct h2 *h2)
{
    nghttp2_session_del(h2->session); /* null: accepted */
    free(h2);
}

bool h2_open(struct poll_conn *conn)
{
    assert(!conn->h2);
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP1_HEAD_BYTES_MAX},
    };
    struct h2 *h2 = calloc(1, sizeof *h2);
    if (!h2) {
        return false;
    }
    h2->conn = conn;
    conn->h2 = h2;
    conn->h2_close = h2_close;
    return set_callbacks(h2) &&
           nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
                                   sizeof settings / sizeof *settings) == 0 &&
           nghttp2_session_set_local_window_size(
               h2->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES) == 0;
}

int h2_room(const struct h2 *h2)
{
    assert(h2->session);
    if (!h2->told) {
        return ROOM_UNTOLD;
    }
    const uint32_t told = nghttp2_session_get_remote_settings(
        h2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return told < ROOM_MAX ? (int)told : ROOM_MAX;
}

/** What is the same for all outlives the session; other values are copied: who
 * asks may be gone before its stream begins. */
static nghttp2_nv header(const char *name, struct str value, bool lasts)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value.at,
        .namelen = strlen(name),
        .valuelen = value.len,
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME |
                 (lasts ? NGHTTP2_NV_FLAG_NO_COPY_VALUE : 0),
    };
}

bool h2_submit(struct poll_conn *conn, struct poll_call *call)
{
    const struct poll_origin *origin = call->origin;
    assert(conn->h2 && call->stream == 0 && !call->conn);
    size_t len = 0;
    nghttp2_nv headers[8];
    const struct str scheme = origin->secure ? STR("https") : STR("http");
    headers[len++] = header(":method", STR("GET"), true);
    headers[len++] = header(":scheme", scheme, true);
    headers[len++] = header(":authority", str_of(origin->authority), true);
    headers[len++] = header(":path", call->path, false);
    headers[len++] =
        header("user-agent", STR("pixverse-worker/" PROGRAM_VERSION), true);
    headers[len++] = header("accept", STR("application/json"), true);
    headers[len++] = header("accept-encoding", STR("identity"), true);
    if (call->bearer.at) {
        headers[len++] = header("authorization", call->bearer, false);
    }
    call->stream = nghttp2_submit_request(conn->h2->session, NULL, headers, len,
                                          NULL, call);
    return call->stream > 0;
}

void h2_cancel(struct poll_conn *conn, struct poll_call *call)
{
    assert(conn->h2 && call->stream > 0);
    nghttp2_session *session = conn->h2->session;
    nghttp2_session_set_stream_user_data(session, call->stream, NULL);
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream,
                              NGHTTP2_CANCEL);
}

void h2_ping(struct poll_conn *conn)
{
    assert(conn->h2);
    nghttp2_submit_ping(conn->h2->session, NGHTTP2_FLAG_NONE, NULL);
}

bool h2_read(struct poll_conn *conn, struct str bytes)
{
    assert(conn->h2 && conn->inside);
    const ssize_t code = nghttp2_session_mem_recv(
        conn->h2->session, (const uint8_t *)bytes.at, bytes.len);
    if (code < 0) {
        snprintf(conn->why, sizeof conn->why, "no HTTP/2: %s",
                 nghttp2_strerror((int)code));
    }
    conn->room = h2_room(conn->h2);
    return code >= 0;
}

bool h2_write(struct poll_conn *conn)
{
    assert(conn->h2 && conn->out_at <= conn->out.len);
    while (conn->out.len - conn->out_at < OUT_BYTES_MAX) {
        const uint8_t *bytes = NULL;
        const ssize_t len = nghttp2_session_mem_send(conn->h2->session, &bytes);
        if (len < 0) {
            snprintf(conn->why, sizeof conn->why, "HTTP/2: %s",
                     nghttp2_strerror((int)len));
            return false;
        }
        if (len == 0) {
            return true;
        }
        buf_add(&conn->out, bytes, (size_t)len);
        if (conn->out.failed) {
            snprintf(conn->why, sizeof conn->why, "no memory");
            return false;
        }
    }
    return true;
}

bool h2_is_over(const struct h2 *h2)
{
    return !nghttp2_session_want_read(h2->session) &&
           !nghttp2_session_want_write(h2->session);
}
