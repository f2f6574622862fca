#include "core/provider_text.h"

#include <assert.h>
#include <string.h>

#define KEY_BYTES_MIN 12 /* shorter is a word of somebody's */

/** The number at the start that is none of JSON's; absent: there is none. */
static struct str no_number(struct str text)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_starts(text, str_of(words[i]))) {
            return str_of(words[i]);
        }
    }
    return (struct str){0};
}

/** Python's writers put NaN where JSON has no word: null stands for it. */
static struct str null_for_nan(struct str body, struct arena *arena)
{
    assert(arena);
    if (str_find_nocase(body, STR("NaN")) < 0 &&
        str_find_nocase(body, STR("Infinity")) < 0) {
        return body;
    }
    char *mended = arena_alloc(arena, 2 * body.len + 1);
    size_t len = 0;
    bool quoted = false;
    if (!mended) {
        return body;
    }
    while (body.len > 0) {
        const struct str word = quoted ? (struct str){0} : no_number(body);
        size_t took = 1;
        if (word.len) {
            memcpy(mended + len, "null", 4);
            len += 4;
            took = word.len;
        } else {
            took += quoted && *body.at == '\\' && body.len > 1;
            quoted ^= *body.at == '"';
            memcpy(mended + len, body.at, took);
            len += took;
        }
        body.at += took;
        body.len -= took;
    }
    return (struct str){mended, len};
}

struct str provider_json(struct str body, struct arena *arena)
{
    if (str_starts(body, STR("\xef\xbb\xbf"))) {
        body.at += 3;
        body.len -= 3;
    }
    body = null_for_nan(body, arena);
    if (str_is_utf8(body)) {
        return body;
    }
    char *mended = arena_alloc(arena, 3 * body.len + 1);
    if (!mended) {
        return body;
    }
    size_t len = 0;
    while (body.len > 0) {
        size_t point = str_point_bytes(body);
        memcpy(mended + len, point ? body.at : "\xef\xbf\xbd",
               point ? point : 3);
        len += point ? point : 3;
        point = point ? point : 1;
        body.at += point;
        body.len -= point;
    }
    return (struct str){mended, len};
}

/** Bytes of what could be part of a URL's query. */
static size_t query_bytes(struct str text)
{
    size_t len = 0;
    while (len < text.len && (unsigned char)text.at[len] > ' ' &&
           (unsigned char)text.at[len] < 0x7f &&
           !strchr("\"'<>\\`", text.at[len])) {
        len++;
    }
    return len;
}

/** Bytes of what could be the rest of an API key. */
static size_t key_bytes(struct str text)
{
    size_t len = 0;
    while (len < text.len && text.at[len] &&
           strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                  "0123456789-_",
                  text.at[len])) {
        len++;
    }
    return len;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z');
}

/**
 * Bytes at `at` that must not be repeated: texts end in logs,
 * and a provider may quote the key it was called with, or a signed URL.
 */
static size_t secret_bytes(struct str text, size_t at, bool *in_url)
{
    assert(at < text.len);
    const struct str rest = {text.at + at, text.len - at};
    if (str_starts(rest, STR("://"))) {
        *in_url = true;
    } else if (rest.at[0] == ' ') {
        *in_url = false;
    }
    const struct str behind = {rest.at + 1, rest.len - 1};
    if (*in_url && rest.at[0] == '?') {
        *in_url = false;
        return 1 + query_bytes(behind);
    }
    const bool word = at == 0 || !is_alnum(text.at[at - 1]);
    const bool begins =
        rest.len > 3 && str_eq_nocase((struct str){rest.at, 3}, STR("sk-"));
    const size_t key = word && begins ? key_bytes(rest) : 0;
    return key >= KEY_BYTES_MIN ? key : 0;
}

struct str provider_text(struct str text, size_t points, struct arena *arena)
{
    assert(points > 0);
    text = str_trim(str_cut_points(str_trim(text), points));
    char *copy = text.len ? arena_alloc(arena, text.len + 1) : NULL;
    size_t len = 0;
    bool in_url = false;
    for (size_t at = 0; copy && at < text.len;) {
        const char c = text.at[at];
        size_t secret = secret_bytes(text, at, &in_url);
        if (secret > 3) {
            memcpy(copy + len, "...", 3);
            len += 3;
        } else {
            secret = 1;
            copy[len++] = (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c;
        }
        at += secret;
    }
    return len ? (struct str){copy, len} : STR("");
}
