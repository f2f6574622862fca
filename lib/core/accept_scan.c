#include "core/accept_scan.h"

#include <assert.h>

#define DIGITS_MAX 9

struct scan {
    const char *at;
    const char *end;
};

/** The next byte that is no blank; NUL: none. */
static char peek(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' ||
                              *s->at == '\r' || *s->at == '\t')) {
        s->at++;
    }
    return s->at < s->end ? *s->at : '\0';
}

static bool take(struct scan *s, char c)
{
    if (peek(s) != c) {
        return false;
    }
    s->at++;
    return true;
}

/** ASCII between quotes, without an escape. */
static bool take_text(struct scan *s, struct str *text)
{
    if (!take(s, '"')) {
        return false;
    }
    const char *from = s->at;
    for (; s->at < s->end && *s->at != '"'; s->at++) {
        if (*s->at < 0x20 || *s->at > 0x7e || *s->at == '\\') {
            return false;
        }
    }
    *text = (struct str){from, (size_t)(s->at - from)};
    return take(s, '"');
}

/** A whole number, whatever it says: an id counts beside any code. */
static bool take_number(struct scan *s, struct str *number)
{
    (void)peek(s);
    const char *from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        s->at++;
    }
    *number = (struct str){from, (size_t)(s->at - from)};
    return number->len >= 1 && number->len <= DIGITS_MAX &&
           (number->len == 1 || *from != '0');
}

static bool take_key(struct scan *s, struct str *key)
{
    return take_text(s, key) && take(s, ':');
}

/** The one task of `data`. */
static bool take_task(struct scan *s, struct str *id)
{
    struct str status = {0};
    struct str key;
    if (!take(s, '{')) {
        return false;
    }
    do {
        struct str *field = NULL;
        if (!take_key(s, &key)) {
            return false;
        }
        field = str_eq(key, STR("task_id"))  ? id
                : str_eq(key, STR("status")) ? &status
                                             : NULL;
        if (!field || field->at || !take_text(s, field)) {
            return false;
        }
    } while (take(s, ','));
    return take(s, '}') && id->at;
}

static bool take_root(struct scan *s, struct str *id)
{
    struct str code = {0};
    struct str key;
    if (!take(s, '{')) {
        return false;
    }
    do {
        if (!take_key(s, &key)) {
            return false;
        }
        if (str_eq(key, STR("code")) && !code.at) {
            if (!take_number(s, &code)) {
                return false;
            }
        } else if (!str_eq(key, STR("data")) || id->at || !take(s, '[') ||
                   !take_task(s, id) || !take(s, ']')) {
            return false;
        }
    } while (take(s, ','));
    return take(s, '}') && id->at;
}

bool accept_scan(struct str body, struct str *id)
{
    struct scan s = {.at = body.at, .end = body.at + body.len};
    struct str found = {0};
    if (!body.len || !take_root(&s, &found) || peek(&s) || s.at < s.end) {
        return false;
    }
    assert(found.at && s.at == s.end);
    *id = found;
    return true;
}
