#include "base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
    assert(kind > ERR_NONE && kind <= ERR_FATAL);
    if (!err) {
        return false;
    }
    err->kind = kind;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return false;
}

bool err_wrap(struct err *err, const char *format, ...)
{
    if (!err) {
        return false;
    }
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n;
    const char *const pieces[] = {": ", old};
    for (size_t i = 0; i < 2 && len < sizeof err->text - 1; i++) {
        size_t room = sizeof err->text - 1 - len;
        size_t piece = strnlen(pieces[i], room);
        memcpy(err->text + len, pieces[i], piece);
        len += piece;
        err->text[len] = '\0';
    }
    return false;
}

const char *err_kind_name(enum err_kind kind)
{
    assert(kind >= ERR_NONE && kind <= ERR_FATAL);
    static const char *const names[] = {
        [ERR_NONE] = "none",
        [ERR_TRANSIENT] = "transient",
        [ERR_PERMANENT] = "permanent",
        [ERR_FATAL] = "fatal",
    };
    return names[kind];
}
