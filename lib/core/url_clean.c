#include "core/url_clean.h"

#include <string.h>

enum part { PART_PATH, PART_QUERY, PART_FRAGMENT };

static struct str from(struct str text, size_t at)
{
    return (struct str){text.at + at, text.len - at};
}

static bool is_white(char c)
{
    return (unsigned char)c <= ' ';
}

/** Without control characters and spaces at its ends. */
static struct str trim(struct str text)
{
    while (text.len && is_white(text.at[0])) {
        text = from(text, 1);
    }
    while (text.len && is_white(text.at[text.len - 1])) {
        text.len--;
    }
    return text;
}

static bool is_break(char c)
{
    return c == '\t' || c == '\n' || c == '\r';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/** Bytes of "scheme:" at the start; 0: it is relative. */
static size_t scheme_bytes(struct str url)
{
    size_t len = 0;
    while (len < url.len &&
           (is_alpha(url.at[len]) ||
            (len > 0 && ((url.at[len] >= '0' && url.at[len] <= '9') ||
                         url.at[len] == '+' || url.at[len] == '-' ||
                         url.at[len] == '.')))) {
        len++;
    }
    return len > 0 && len < url.len && url.at[len] == ':' ? len + 1 : 0;
}

/** Bytes up to where the path begins: scheme and host. */
static size_t host_end(struct str url)
{
    size_t at = scheme_bytes(url);
    if (!str_starts(from(url, at), STR("//"))) {
        return at;
    }
    at += 2;
    while (at < url.len && !strchr("/?#", url.at[at])) {
        at++;
    }
    return at;
}

static bool must_encode(char c, enum part part)
{
    static const char *const forbidden[] = {
        [PART_PATH] = "\"<>`{}",
        [PART_QUERY] = "\"<>'",
        [PART_FRAGMENT] = "\"<>`",
    };
    const unsigned char byte = (unsigned char)c;
    return byte <= ' ' || byte >= 0x7f || strchr(forbidden[part], c);
}

void url_clean(struct str url, struct buf *out)
{
    url = trim(url);
    const size_t path = host_end(url);
    enum part part = PART_PATH;
    buf_add(out, url.at ? url.at : "", path);
    for (size_t i = path; i < url.len; i++) {
        const char c = url.at[i];
        if (is_break(c)) {
            continue;
        }
        if (c == '#') {
            part = PART_FRAGMENT;
        } else if (c == '?' && part == PART_PATH) {
            part = PART_QUERY;
        }
        if (c == '\\' && part == PART_PATH) {
            buf_add_char(out, '/');
        } else if (must_encode(c, part)) {
            buf_printf(out, "%%%02X", (unsigned char)c);
        } else {
            buf_add_char(out, c);
        }
    }
}
