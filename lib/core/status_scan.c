#include "core/status_scan.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define DEPTH_MAX 16
#define DIGITS_MAX 15 /* so many a double holds, whatever they are */

struct scan {
    const char *at;
    const char *end;
    bool foreign; /* a byte beyond ASCII was seen, inside a text */
};

static char peek(const struct scan *s)
{
    return s->at < s->end ? *s->at : '\0';
}

static void skip_blanks(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' ||
                              *s->at == '\r' || *s->at == '\t')) {
        s->at++;
    }
}

static bool take(struct scan *s, char c)
{
    if (peek(s) != c) {
        return false;
    }
    s->at++;
    return true;
}

/** How many of the bytes to come are plain ones of a text: no quote, escape,
 * control, nor one beyond ASCII. Eight at a time; of the last few, none. */
static size_t plain_bytes(const struct scan *s)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = ones << 7;
    const char *at = s->at;
    for (; s->end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        word = le64toh(word);
        const uint64_t quote = word ^ ones * '"';
        const uint64_t escape = word ^ ones * '\\';
        /* A byte's borrow reaches only those behind it: the first one tells. */
        const uint64_t odd =
            (word | ((quote - ones) & ~quote) | ((escape - ones) & ~escape) |
             ((word - ones * 0x20) & ~word)) &
            highs;
        if (odd) {
            at += __builtin_ctzll(odd) / 8;
            break;
        }
    }
    return (size_t)(at - s->at);
}

/** What stands between quotes. One with an escape is odd, unless it is only
 * passed over (`text` null). */
static bool take_text(struct scan *s, struct str *text)
{
    if (!take(s, '"')) {
        return false;
    }
    const char *from = s->at;
    for (s->at += plain_bytes(s); s->at < s->end && *s->at != '"'; s->at++) {
        const unsigned char c = (unsigned char)*s->at;
        s->foreign = s->foreign || c >= 0x80;
        if (c < 0x20) {
            return false;
        }
        if (c == '\\') {
            s->at++;
            if (text || !peek(s) || !strchr("\"\\/bfnrt", peek(s))) {
                return false; /* \u, too: it may be half of a pair */
            }
        }
    }
    if (text) {
        *text = (struct str){from, (size_t)(s->at - from)};
    }
    return take(s, '"');
}

static int take_digits(struct scan *s)
{
    int n = 0;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        s->at++;
        n++;
    }
    return n;
}

/** Short ones without an exponent: no reader can find another value in them. */
static bool skip_number(struct scan *s)
{
    (void)take(s, '-');
    const char first = peek(s);
    const int digits = take_digits(s);
    if (digits < 1 || digits > DIGITS_MAX || (first == '0' && digits > 1)) {
        return false;
    }
    if (take(s, '.')) {
        const int more = take_digits(s);
        return more >= 1 && more <= DIGITS_MAX;
    }
    return true;
}

static bool skip_word(struct scan *s, const char *word)
{
    const size_t len = strlen(word);
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0) {
        return false;
    }
    s->at += len;
    return true;
}

static bool skip_value(struct scan *s, int depth);

/** Behind its bracket. Members are texts, colons and values, or values. */
static bool skip_members(struct scan *s, int depth, bool keyed, char close)
{
    assert(depth >= 0);
    skip_blanks(s);
    if (take(s, close)) {
        return true;
    }
    do {
        skip_blanks(s);
        if (keyed) {
            struct str key;
            if (!take_text(s, &key)) {
                return false;
            }
            skip_blanks(s);
            if (!take(s, ':')) {
                return false;
            }
            skip_blanks(s);
        }
        if (!skip_value(s, depth + 1)) {
            return false;
        }
        skip_blanks(s);
    } while (take(s, ','));
    return take(s, close);
}

static bool skip_value(struct scan *s, int depth)
{
    assert(depth >= 0);
    if (depth > DEPTH_MAX) {
        return false;
    }
    switch (peek(s)) {
    case '"':
        return take_text(s, NULL);
    case '{':
        s->at++;
        return skip_members(s, depth, true, '}');
    case '[':
        s->at++;
        return skip_members(s, depth, false, ']');
    case 't':
        return skip_word(s, "true");
    case 'f':
        return skip_word(s, "false");
    case 'n':
        return skip_word(s, "null");
    default:
        return skip_number(s);
    }
}

/** A text that is there for the first time. */
static bool take_field(struct scan *s, struct str *field)
{
    return !field->at && take_text(s, field);
}

static bool take_progress(struct scan *s, int *progress)
{
    const char *from = s->at;
    int64_t value = -1;
    if (*progress >= 0 || take_digits(s) < 1 ||
        (*from == '0' && s->at > from + 1)) {
        return false;
    }
    if (!str_to_i64((struct str){from, (size_t)(s->at - from)}, 0, 100,
                    &value)) {
        return false;
    }
    *progress = (int)value;
    return true;
}

static bool take_member(struct scan *s, struct str key,
                        struct status_scan *scan)
{
    if (str_eq(key, STR("id"))) {
        return take_field(s, &scan->id);
    }
    if (str_eq(key, STR("task_id"))) {
        return take_field(s, &scan->task_id);
    }
    if (str_eq(key, STR("status"))) {
        return take_field(s, &scan->status);
    }
    if (str_eq(key, STR("progress"))) {
        return take_progress(s, &scan->progress);
    }
    return skip_value(s, 2);
}

/** `data`: an object that isn't empty. */
static bool take_data(struct scan *s, struct status_scan *scan)
{
    if (!take(s, '{')) {
        return false;
    }
    do {
        struct str key;
        skip_blanks(s);
        if (!take_text(s, &key)) {
            return false;
        }
        skip_blanks(s);
        if (!take(s, ':')) {
            return false;
        }
        skip_blanks(s);
        if (!take_member(s, key, scan)) {
            return false;
        }
        skip_blanks(s);
    } while (take(s, ','));
    return take(s, '}');
}

static bool take_root(struct scan *s, struct status_scan *scan)
{
    bool found = false;
    if (!take(s, '{')) {
        return false;
    }
    do {
        struct str key;
        skip_blanks(s);
        if (!take_text(s, &key)) {
            return false;
        }
        skip_blanks(s);
        if (!take(s, ':')) {
            return false;
        }
        skip_blanks(s);
        const bool is_data = str_eq(key, STR("data"));
        if (is_data && found) {
            return false; /* of two the last one counts */
        }
        found = found || is_data;
        if (is_data ? !take_data(s, scan) : !skip_value(s, 1)) {
            return false;
        }
        skip_blanks(s);
    } while (take(s, ','));
    return take(s, '}') && found;
}

bool status_scan(struct str body, struct status_scan *scan)
{
    struct scan s = {.at = body.at, .end = body.at + body.len};
    *scan = (struct status_scan){.progress = -1};
    if (!body.len) {
        return false;
    }
    skip_blanks(&s);
    if (!take_root(&s, scan)) {
        return false;
    }
    skip_blanks(&s);
    assert(s.at <= s.end);
    return s.at == s.end && (!s.foreign || str_is_utf8(body));
}
