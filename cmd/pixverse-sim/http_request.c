#include "http_request.h"

#include <stdint.h>

static enum http_read bad(int *status, int value)
{
    *status = value;
    return HTTP_BAD;
}

/** The text up to `end` (exclusive) off the front of *rest; false if there is
 * none. */
static bool take_until(struct str *rest, char end, struct str *part)
{
    const char *at = rest->len ? memchr(rest->at, end, rest->len) : NULL;
    if (!at) {
        return false;
    }
    *part = (struct str){rest->at, (size_t)(at - rest->at)};
    rest->len -= part->len + 1;
    rest->at = at + 1;
    return true;
}

static struct str without_cr(struct str line)
{
    if (line.len > 0 && line.at[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

static bool read_request_line(struct http_request *request, struct str line,
                              bool *old)
{
    struct str target;
    if (!take_until(&line, ' ', &request->method) ||
        !take_until(&line, ' ', &target) || target.len == 0) {
        return false;
    }
    *old = str_eq(line, STR("HTTP/1.0"));
    if (!*old && !str_eq(line, STR("HTTP/1.1"))) {
        return false;
    }
    request->path = target;
    request->query = (struct str){0};
    const char *mark = memchr(target.at, '?', target.len);
    if (mark) {
        request->path.len = (size_t)(mark - target.at);
        request->query =
            (struct str){mark + 1, target.len - request->path.len - 1};
    }
    return true;
}

static bool note_field(struct http_request *request, struct str name,
                       struct str value)
{
    if (str_eq_nocase(name, STR("content-length"))) {
        int64_t bytes = 0;
        if (!str_to_i64(value, 0, INT64_MAX, &bytes)) {
            return false;
        }
        request->body_told = (size_t)bytes;
    } else if (str_eq_nocase(name, STR("transfer-encoding"))) {
        request->chunked = str_find_nocase(value, STR("chunked")) >= 0;
    } else if (str_eq_nocase(name, STR("connection"))) {
        if (str_find_nocase(value, STR("close")) >= 0) {
            request->keep_alive = false;
        } else if (str_find_nocase(value, STR("keep-alive")) >= 0) {
            request->keep_alive = true;
        }
    } else if (str_eq_nocase(name, STR("expect"))) {
        request->continue_wanted = str_eq_nocase(value, STR("100-continue"));
    }
    return true;
}

/** Where the head ends (after its empty line), or 0. */
static size_t head_bytes(struct str bytes)
{
    const char *at = bytes.at;
    const char *end = bytes.at + bytes.len;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
        at++;
        if (at < end && *at == '\n') {
            return (size_t)(at + 1 - bytes.at);
        }
        if (end - at >= 2 && at[0] == '\r' && at[1] == '\n') {
            return (size_t)(at + 2 - bytes.at);
        }
    }
    return 0;
}

enum http_read http_request_head(struct http_request *request, struct str bytes,
                                 size_t *used, int *status)
{
    size_t skipped = 0;
    while (bytes.len > 0 && (*bytes.at == '\r' || *bytes.at == '\n')) {
        /* RFC 9112, 2.2: empty lines before a request are let pass */
        bytes.at++;
        bytes.len--;
        skipped++;
    }
    size_t len = head_bytes(bytes);
    if (len == 0) {
        return bytes.len > HTTP_HEAD_BYTES_MAX ? bad(status, 431) : HTTP_MORE;
    }
    struct str rest = {bytes.at, len};
    struct str line;
    bool old = false;
    if (!take_until(&rest, '\n', &line) ||
        !read_request_line(request, without_cr(line), &old)) {
        return bad(status, 400);
    }
    request->fields_count = 0;
    request->body = (struct str){0};
    request->body_told = 0;
    request->chunked = false;
    request->continue_wanted = false;
    request->keep_alive = !old;
    while (take_until(&rest, '\n', &line)) {
        line = without_cr(line);
        if (line.len == 0) {
            break;
        }
        struct str name;
        if (!take_until(&line, ':', &name)) {
            return bad(status, 400);
        }
        struct str value = str_trim(line);
        if (request->fields_count == HTTP_FIELDS_MAX) {
            return bad(status, 431);
        }
        if (!note_field(request, name, value)) {
            return bad(status, 400);
        }
        request->fields[request->fields_count++] =
            (struct http_field){name, value};
    }
    *used = skipped + len;
    return HTTP_WHOLE;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

static bool chunk_size(struct str line, size_t *size)
{
    size_t value = 0;
    size_t at = 0;
    for (; at < line.len && at < 8 && hex_digit(line.at[at]) >= 0; at++) {
        value = value * 16 + (size_t)hex_digit(line.at[at]);
    }
    *size = value;
    return at > 0 &&
           (at == line.len || line.at[at] == ';' || line.at[at] == ' ');
}

static enum http_read read_chunks(struct http_request *request,
                                  struct str bytes, struct buf *scratch,
                                  size_t *used, int *status)
{
    struct str rest = bytes;
    buf_reset(scratch);
    for (;;) {
        struct str line;
        size_t size = 0;
        if (!take_until(&rest, '\n', &line)) {
            return HTTP_MORE;
        }
        if (!chunk_size(without_cr(line), &size)) {
            return bad(status, 400);
        }
        if (scratch->len + size > HTTP_BODY_BYTES_MAX) {
            return bad(status, 413);
        }
        if (size == 0) {
            break;
        }
        if (rest.len < size + 2) {
            return HTTP_MORE;
        }
        buf_add(scratch, rest.at, size);
        rest.at += size + 2;
        rest.len -= size + 2;
    }
    struct str line;
    do { /* trailers, up to an empty line */
        if (!take_until(&rest, '\n', &line)) {
            return HTTP_MORE;
        }
    } while (without_cr(line).len > 0);
    request->body = buf_str(scratch);
    *used = bytes.len - rest.len;
    return HTTP_WHOLE;
}

enum http_read http_request_body(struct http_request *request, struct str bytes,
                                 struct buf *scratch, size_t *used, int *status)
{
    if (request->chunked) {
        return read_chunks(request, bytes, scratch, used, status);
    }
    if (request->body_told > HTTP_BODY_BYTES_MAX) {
        return bad(status, 413);
    }
    if (bytes.len < request->body_told) {
        return HTTP_MORE;
    }
    request->body = (struct str){bytes.at, request->body_told};
    *used = request->body_told;
    return HTTP_WHOLE;
}

struct str http_request_field(const struct http_request *request,
                              const char *name)
{
    for (size_t i = 0; i < request->fields_count; i++) {
        if (str_eq_nocase(request->fields[i].name, str_of(name))) {
            return request->fields[i].value;
        }
    }
    return (struct str){0};
}

struct str http_request_parameter(const struct http_request *request,
                                  const char *name)
{
    struct str rest = request->query;
    while (rest.len > 0) {
        struct str pair;
        if (!take_until(&rest, '&', &pair)) {
            pair = rest;
            rest.len = 0;
        }
        struct str key;
        if (take_until(&pair, '=', &key) && str_eq(key, str_of(name))) {
            return pair;
        }
    }
    return (struct str){0};
}
