#include "core/http1.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define KEPT_BYTES (64 * 1024)

void http1_init(struct http1 *reply)
{
    *reply = (struct http1){0};
    /* A NUL more than there are bytes. */
    buf_init(&reply->head, HTTP1_HEAD_BYTES_MAX + 1);
    buf_init(&reply->body, HTTP1_BODY_BYTES_MAX);
}

void http1_done(struct http1 *reply)
{
    buf_done(&reply->head);
    buf_done(&reply->body);
}

void http1_begin(struct http1 *reply)
{
    if (reply->body.size > KEPT_BYTES) {
        http1_done(reply);
        http1_init(reply);
        return;
    }
    struct buf head = reply->head;
    struct buf body = reply->body;
    buf_reset(&head);
    buf_reset(&body);
    *reply = (struct http1){.head = head, .body = body};
}

static enum http1_got broken(struct http1 *reply, const char *why)
{
    reply->why = why;
    return HTTP1_BROKEN;
}

/* ---- headers ---- */

static const struct str names[HTTP1_NAMES] = {
#define NAME(text)                                                             \
    {                                                                          \
        text, sizeof(text) - 1                                                 \
    }
    [HTTP1_CONNECTION] = NAME("Connection"),
    [HTTP1_CONTENT_ENCODING] = NAME("Content-Encoding"),
    [HTTP1_CONTENT_LENGTH] = NAME("Content-Length"),
    [HTTP1_CONTENT_TYPE] = NAME("Content-Type"),
    [HTTP1_IDEMPOTENCY_REPLAYED] = NAME("Idempotency-Replayed"),
    [HTTP1_RETRY_AFTER] = NAME("Retry-After"),
    [HTTP1_TRANSFER_ENCODING] = NAME("Transfer-Encoding"),
#undef NAME
};

/** One whose name is so long; HTTP1_NAMES: nobody asks for it. */
static enum http1_name name_of(const char *line, size_t name_len)
{
    enum http1_name name = 0;
    while (name < HTTP1_NAMES &&
           (names[name].len != name_len ||
            !str_eq_nocase(names[name], (struct str){line, name_len}))) {
        name++;
    }
    return name;
}

/** Of a header's name; what may stand between it and its colon is skipped.
 * Null: it is no header. */
static const char *colon_of(const char *line, size_t *name_len)
{
    *name_len = strcspn(line, ": \t");
    const char *colon = line + *name_len;
    colon += strspn(colon, " \t");
    return *name_len > 0 && *colon == ':' ? colon : NULL;
}

/** What stands behind a line's colon; absent: it isn't of that name. */
static struct str value_of(const char *line, enum http1_name name)
{
    size_t len = 0;
    const char *colon = colon_of(line, &len);
    if (!colon || !str_eq_nocase(names[name], (struct str){line, len})) {
        return (struct str){0};
    }
    return str_trim(str_of(colon + 1));
}

/** The first line of that name; null: none. */
static const char *first_line(const struct http1 *reply, enum http1_name name)
{
    assert(name < HTTP1_NAMES);
    const size_t at = reply->first[name];
    return at ? reply->head.bytes + at : NULL;
}

/** The line behind `line`; null: it is the last one. */
static const char *next_line(const struct http1 *reply, const char *line)
{
    const char *end = reply->head.bytes + reply->line_at;
    const char *next = line + strlen(line) + 1;
    return next < end ? next : NULL;
}

struct str http1_header(const struct http1 *reply, enum http1_name name)
{
    const char *line = first_line(reply, name);
    return line ? value_of(line, name) : (struct str){0};
}

void http1_list(const struct http1 *reply, enum http1_name name, char *out,
                size_t out_bytes)
{
    size_t len = 0;
    assert(out_bytes > 0);
    out[0] = '\0';
    for (const char *line = first_line(reply, name); line && len < out_bytes;
         line = next_line(reply, line)) {
        const struct str value = value_of(line, name);
        if (value.at) {
            const int more = snprintf(out + len, out_bytes - len, "%s%.*s",
                                      len ? "," : "", (int)value.len, value.at);
            len += more > 0 ? (size_t)more : 0;
        }
    }
}

/** Whether a list names that token, in any case. */
static bool names_token(const char *list, const char *token)
{
    while (*list) {
        const size_t len = strcspn(list, ",");
        if (str_eq_nocase(str_trim((struct str){list, len}), str_of(token))) {
            return true;
        }
        list += len + (list[len] == ',');
    }
    return false;
}

/* ---- heads ---- */

/** "HTTP/1.1 200 …": false, if it is none. */
static bool read_status(struct http1 *reply, const char *line)
{
    const char *code = line + 9;
    if (strncmp(line, "HTTP/1.", 7) != 0 ||
        (line[7] != '0' && line[7] != '1') || line[8] != ' ') {
        return false;
    }
    int status = 0;
    for (int i = 0; i < 3; i++) {
        if (code[i] < '0' || code[i] > '9') {
            return false;
        }
        status = status * 10 + (code[i] - '0');
    }
    if (status < 100 || (code[3] != ' ' && code[3] != '\0')) {
        return false;
    }
    reply->status = status;
    reply->keeps = line[7] == '1';
    return true;
}

/** Of a list whose parts are all the same (RFC 9110 8.6); -2: two that differ,
 * or none that is a length. */
static int64_t one_length(struct str list, int64_t told)
{
    while (list.len > 0) {
        const char *comma = memchr(list.at, ',', list.len);
        const size_t len = comma ? (size_t)(comma - list.at) : list.len;
        int64_t length = -1;
        if (!str_to_i64(str_trim((struct str){list.at, len}), 0, INT64_MAX,
                        &length) ||
            (told >= 0 && told != length)) {
            return -2;
        }
        told = length;
        list.at += len + (comma != NULL);
        list.len -= len + (comma != NULL);
    }
    return told;
}

/** -1: none told; -2: two that differ, or none that is a length. */
static int64_t content_length(const struct http1 *reply)
{
    int64_t told = -1;
    for (const char *line = first_line(reply, HTTP1_CONTENT_LENGTH);
         line && told != -2; line = next_line(reply, line)) {
        const struct str value = value_of(line, HTTP1_CONTENT_LENGTH);
        if (value.at) {
            told = value.len > 0 ? one_length(value, told) : -2;
        }
    }
    return told;
}

static enum http1_got begin_length(struct http1 *reply, int64_t length)
{
    assert(reply->part == HTTP1_HEAD);
    if (length < -1) {
        return broken(reply, "a Content-Length that can't be one");
    }
    if (length > HTTP1_BODY_BYTES_MAX) {
        return HTTP1_TOO_LARGE;
    }
    reply->left = length;
    reply->part = length < 0    ? HTTP1_BODY_TO_END
                  : length == 0 ? HTTP1_DONE
                                : HTTP1_BODY_LENGTH;
    reply->keeps = reply->keeps && length >= 0;
    return reply->part == HTTP1_DONE ? HTTP1_WHOLE : HTTP1_MORE;
}

/** The empty line behind a head. */
static enum http1_got end_head(struct http1 *reply)
{
    assert(reply->part == HTTP1_HEAD && reply->status >= 100);
    char list[256];
    if (reply->status == 101) {
        return broken(reply, "a switch of protocols that nobody asked for");
    }
    if (reply->status < 200) { /* informational: another head follows */
        buf_reset(&reply->head);
        memset(reply->first, 0, sizeof reply->first);
        reply->line_at = 0;
        reply->status = 0;
        return HTTP1_MORE;
    }
    http1_list(reply, HTTP1_CONNECTION, list, sizeof list);
    if (names_token(list, "close")) {
        reply->keeps = false;
    } else if (names_token(list, "keep-alive")) {
        reply->keeps = true;
    }
    if (reply->status == 204 || reply->status == 304) {
        reply->part = HTTP1_DONE;
        return HTTP1_WHOLE;
    }
    const int64_t length = content_length(reply);
    http1_list(reply, HTTP1_TRANSFER_ENCODING, list, sizeof list);
    if (!list[0]) {
        return begin_length(reply, length);
    }
    if (!str_eq_nocase(str_of(list), STR("chunked"))) {
        return broken(reply, "a Transfer-Encoding other than chunked");
    }
    if (length != -1) { /* which one counts is a matter of taste */
        reply->keeps = false;
    }
    reply->part = HTTP1_CHUNK_SIZE;
    return HTTP1_MORE;
}

/** A line of a head, without its end: that at head.bytes + line_at. */
static enum http1_got head_line(struct http1 *reply, const char *line)
{
    assert(reply->part == HTTP1_HEAD);
    if (reply->status == 0) {
        return read_status(reply, line) ? HTTP1_MORE
                                        : broken(reply, "no reply of HTTP/1");
    }
    if (line[0] == ' ' || line[0] == '\t') {
        /* It goes on with the line before it (RFC 9112 5.2). */
        reply->head.bytes[reply->line_at - 1] = ' ';
        return HTTP1_MORE;
    }
    size_t len = 0;
    if (!colon_of(line, &len)) {
        return broken(reply, "a header line that is none");
    }
    const enum http1_name name = name_of(line, len);
    if (name < HTTP1_NAMES && !reply->first[name]) {
        reply->first[name] = reply->line_at;
    }
    return HTTP1_MORE;
}

/* ---- chunks ---- */

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static enum http1_got chunk_size(struct http1 *reply, const char *line)
{
    assert(reply->part == HTTP1_CHUNK_SIZE);
    int64_t size = 0;
    int n = 0;
    for (; digit_of(line[n]) >= 0; n++) {
        if (n >= 15) {
            return broken(reply, "a chunk size that can't be one");
        }
        size = size * 16 + digit_of(line[n]);
    }
    if (n == 0 || !strchr("; \t", line[n])) { /* its NUL, too */
        return broken(reply, "a chunk size that can't be one");
    }
    if (size > HTTP1_BODY_BYTES_MAX - (int64_t)reply->body.len) {
        return HTTP1_TOO_LARGE;
    }
    reply->left = size;
    reply->part = size ? HTTP1_CHUNK : HTTP1_TRAILER;
    return HTTP1_MORE;
}

/* ---- bytes ---- */

/** A line without CR and LF that has come whole: at head.bytes + line_at. */
static enum http1_got take_line(struct http1 *reply)
{
    assert(reply->head.len > reply->line_at);
    const char *line = reply->head.bytes + reply->line_at;
    const size_t len = reply->head.len - reply->line_at - 1;
    if (strlen(line) != len) {
        return broken(reply, "a NUL in a header");
    }
    if (reply->part == HTTP1_HEAD) {
        if (len == 0) {
            /* Before a status line: the end of what came before. */
            reply->head.len = reply->line_at;
            return reply->status ? end_head(reply) : HTTP1_MORE;
        }
        const enum http1_got got = head_line(reply, line);
        reply->line_at = got == HTTP1_BROKEN ? reply->line_at : reply->head.len;
        return got;
    }
    /* What else comes in lines is not kept. */
    enum http1_got got = HTTP1_MORE;
    if (reply->part == HTTP1_CHUNK_SIZE) {
        got = chunk_size(reply, line);
    } else if (reply->part == HTTP1_CHUNK_END) {
        reply->part = HTTP1_CHUNK_SIZE;
        got = len ? broken(reply, "a chunk that is longer than told") : got;
    } else if (len == 0) {
        assert(reply->part == HTTP1_TRAILER);
        reply->part = HTTP1_DONE;
        got = HTTP1_WHOLE;
    }
    if (got != HTTP1_BROKEN) {
        reply->head.len = reply->line_at;
    }
    return got;
}

static enum http1_got read_line(struct http1 *reply, struct str *bytes)
{
    assert(reply->head.len >= reply->line_at);
    const char *lf = memchr(bytes->at, '\n', bytes->len);
    const size_t len = lf ? (size_t)(lf - bytes->at) + 1 : bytes->len;
    reply->head_bytes += len;
    if (reply->head_bytes > HTTP1_HEAD_BYTES_MAX) {
        return broken(reply, "a head of more than 64 KiB");
    }
    buf_add(&reply->head, bytes->at, len);
    if (reply->head.failed) {
        return broken(reply, "no memory for its head");
    }
    bytes->at += len;
    bytes->len -= len;
    if (!lf) {
        return HTTP1_MORE;
    }
    struct buf *head = &reply->head;
    head->len -= 1;
    if (head->len > reply->line_at && head->bytes[head->len - 1] == '\r') {
        head->len -= 1;
    }
    head->bytes[head->len++] = '\0'; /* in the LF's or CR's place */
    return take_line(reply);
}

static enum http1_got read_body(struct http1 *reply, struct str *bytes)
{
    assert(reply->left > 0 || reply->part == HTTP1_BODY_TO_END);
    assert(reply->body.len <= HTTP1_BODY_BYTES_MAX);
    const bool bounded = reply->part != HTTP1_BODY_TO_END;
    size_t len = bytes->len;
    if (bounded && (int64_t)len > reply->left) {
        len = (size_t)reply->left;
    }
    if (len > HTTP1_BODY_BYTES_MAX - reply->body.len) {
        return HTTP1_TOO_LARGE;
    }
    buf_add(&reply->body, bytes->at, len);
    if (reply->body.failed) {
        return broken(reply, "no memory for its body");
    }
    bytes->at += len;
    bytes->len -= len;
    if (!bounded) {
        return HTTP1_MORE;
    }
    reply->left -= (int64_t)len;
    if (reply->left > 0) {
        return HTTP1_MORE;
    }
    if (reply->part == HTTP1_CHUNK) {
        reply->part = HTTP1_CHUNK_END;
        return HTTP1_MORE;
    }
    reply->part = HTTP1_DONE;
    return HTTP1_WHOLE;
}

enum http1_got http1_read(struct http1 *reply, struct str *bytes)
{
    assert(reply->part != HTTP1_DONE);
    enum http1_got got = HTTP1_MORE;
    reply->began = reply->began || bytes->len > 0;
    while (got == HTTP1_MORE && bytes->len > 0) {
        const bool body = reply->part == HTTP1_BODY_LENGTH ||
                          reply->part == HTTP1_BODY_TO_END ||
                          reply->part == HTTP1_CHUNK;
        got = body ? read_body(reply, bytes) : read_line(reply, bytes);
    }
    return got;
}

bool http1_is_full(const struct http1 *reply)
{
    return reply->body.failed || reply->body.len >= HTTP1_BODY_BYTES_MAX;
}

static void keep(struct http1 *reply, struct str bytes)
{
    if (bytes.len > 0 && !http1_is_full(reply)) {
        const size_t room = HTTP1_BODY_BYTES_MAX - reply->body.len;
        buf_add(&reply->body, bytes.at, bytes.len < room ? bytes.len : room);
    }
}

void http1_keep(struct http1 *reply, struct str rest)
{
    struct buf *head = &reply->head;
    assert(head->len >= reply->line_at);
    size_t len = head->len - reply->line_at;
    if (len > 0 && !head->failed) {
        const char *line = head->bytes + reply->line_at;
        const bool ended = line[len - 1] == '\0'; /* in its end's place */
        len -= ended;
        keep(reply, reply->body.len ? STR("\n") : STR(""));
        keep(reply, (struct str){line, len});
        keep(reply, ended ? STR("\n") : STR(""));
    }
    head->len = reply->line_at;
    keep(reply, rest);
}

enum http1_got http1_end(struct http1 *reply)
{
    if (reply->part == HTTP1_BODY_TO_END) {
        reply->part = HTTP1_DONE;
        return HTTP1_WHOLE;
    }
    return broken(reply, reply->began
                             ? "the connection ended in the middle of a reply"
                             : "the connection ended without a reply");
}
