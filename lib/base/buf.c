#include "base/buf.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf, size_t bytes_max)
{
    *buf = (struct buf){.bytes_max = bytes_max};
}

void buf_done(struct buf *buf)
{
    free(buf->bytes);
    *buf = (struct buf){.bytes_max = buf->bytes_max};
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
    if (buf->bytes) {
        buf->bytes[0] = '\0';
    }
}

char *buf_room(struct buf *buf, size_t bytes)
{
    assert(!buf->bytes || buf->len < buf->size);
    if (buf->failed) {
        return NULL;
    }
    if (bytes > SIZE_MAX / 4 || buf->len + bytes > SIZE_MAX / 4 ||
        (buf->bytes_max && bytes > buf->bytes_max - buf->len)) {
        buf->failed = true;
        return NULL;
    }
    size_t need = buf->len + bytes + 1;
    if (need > buf->size) {
        size_t size = buf->size ? buf->size : 64;
        while (size < need) {
            size *= 2;
        }
        if (buf->bytes_max && size > buf->bytes_max + 1) {
            size = buf->bytes_max + 1;
        }
        char *grown = realloc(buf->bytes, size);
        if (!grown) {
            buf->failed = true;
            return NULL;
        }
        buf->bytes = grown;
        buf->size = size;
    }
    return buf->bytes + buf->len;
}

void buf_took(struct buf *buf, size_t bytes)
{
    assert(buf->bytes && !buf->failed);
    assert(bytes < buf->size - buf->len);
    buf->len += bytes;
    buf->bytes[buf->len] = '\0';
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
    assert(bytes || len == 0);
    char *room = buf_room(buf, len);
    if (!room) {
        return;
    }
    if (len) {
        memcpy(room, bytes, len);
    }
    buf_took(buf, len);
}

void buf_add_str(struct buf *buf, struct str text)
{
    buf_add(buf, text.at, text.len);
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_char(struct buf *buf, char c)
{
    if (!buf->failed && buf->len + 1 < buf->size) { /* the usual case */
        buf->bytes[buf->len++] = c;
        buf->bytes[buf->len] = '\0';
        return;
    }
    buf_add(buf, &c, 1);
}

void buf_add_i64(struct buf *buf, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0) {
        digits[--at] = '-';
    }
    buf_add(buf, digits + at, sizeof digits - at);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *room = NULL;
    if (len < 0) {
        buf->failed = true;
    } else {
        room = buf_room(buf, (size_t)len);
    }
    if (!room) {
        return;
    }
    va_start(args, format);
    vsnprintf(room, (size_t)len + 1, format, args);
    va_end(args);
    buf_took(buf, (size_t)len);
}

/** What JSON writes for a character that can't stand for itself, or null. */
static const char *json_escape(unsigned char c, char room[7])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        if (c >= 0x20 && c != 0x7f) {
            return NULL;
        }
        snprintf(room, 7, "\\u%04x", c);
        return room;
    }
}

void buf_add_json(struct buf *buf, struct str text)
{
    buf_add_char(buf, '"');
    size_t plain = 0; /* start of the stretch that is not yet written */
    for (size_t at = 0; at < text.len;) {
        at += str_plain_bytes((struct str){text.at + at, text.len - at});
        if (at == text.len) {
            break;
        }
        const unsigned char c = (unsigned char)text.at[at];
        char room[7];
        const char *instead = NULL;
        size_t step = 1;
        if (c < 0x80) {
            instead = json_escape(c, room);
        } else {
            step = str_point_bytes((struct str){text.at + at, text.len - at});
            if (step == 0) {
                step = 1;
                instead = "\xef\xbf\xbd";
            }
        }
        if (instead) {
            buf_add(buf, text.at + plain, at - plain);
            buf_add_text(buf, instead);
            plain = at + step;
        }
        at += step;
    }
    if (text.len > plain) {
        buf_add(buf, text.at + plain, text.len - plain);
    }
    buf_add_char(buf, '"');
}

/**
 * The same of whole millionths, which prices and times are; 0: it is none. Up
 * to 15 digits are the shortest that read back as this double, and the only
 * ones: no two texts of so many are the same double.
 */
static int millionth_digits(double value, char digits[18], int *exponent)
{
    if (!(value >= 1e-6 && value <= 1e8)) {
        return 0;
    }
    uint64_t millionths = (uint64_t)(value * 1e6 + 0.5);
    if ((double)millionths / 1e6 != value) {
        return 0;
    }
    int len = 0;
    for (uint64_t rest = millionths; rest; rest /= 10) {
        len++;
    }
    *exponent = len - 7;
    while (millionths % 10 == 0) {
        millionths /= 10;
        len--;
    }
    for (int i = len; i > 0; millionths /= 10) {
        digits[--i] = (char)('0' + millionths % 10);
    }
    return len;
}

/**
 * 1 to 17 significant digits, whichever first reads back the same, and the
 * decimal exponent of the first digit. The process may have set a locale with
 * a decimal comma, hence the digits are picked out one by one.
 */
static int shortest_digits(double value, char digits[18], int *exponent)
{
    char text[40];
    const int few = millionth_digits(value, digits, exponent);
    if (few) {
        return few;
    }
    /* Where 15 digits or fewer read back the same, they are the first of 15,
     * and zeros: seventeen tries for each number of a large message would keep
     * the loop busy. Below DBL_MIN a double has fewer digits than that. */
    for (int count = value < DBL_MIN ? 1 : 15; count <= 17; count++) {
        snprintf(text, sizeof text, "%.*e", count - 1, value);
        if (count == 17 || strtod(text, NULL) == value) {
            break;
        }
    }
    int len = 0;
    const char *at = text;
    for (; *at != 'e'; at++) {
        if (*at >= '0' && *at <= '9') {
            digits[len++] = *at;
        }
    }
    *exponent = (int)strtol(at + 1, NULL, 10);
    while (len > 1 && digits[len - 1] == '0') {
        len--;
    }
    return len;
}

void buf_add_double(struct buf *buf, double value)
{
    if (!isfinite(value)) {
        buf_add_text(buf, "null"); /* JSON has no word for it */
        return;
    }
    if (signbit(value)) {
        buf_add_char(buf, '-');
        value = -value;
    }
    char digits[18];
    int exponent = 0;
    int len = shortest_digits(value, digits, &exponent);
    if (exponent < -5 || exponent >= 17) {
        buf_add(buf, digits, 1);
        if (len > 1) {
            buf_add_char(buf, '.');
            buf_add(buf, digits + 1, (size_t)len - 1);
        }
        buf_printf(buf, "e%d", exponent);
        return;
    }
    if (exponent < 0) {
        buf_add_text(buf, "0.");
        for (int i = -1; i > exponent; i--) {
            buf_add_char(buf, '0');
        }
        buf_add(buf, digits, (size_t)len);
        return;
    }
    for (int i = 0; i < len || i <= exponent; i++) {
        if (i == exponent + 1) {
            buf_add_char(buf, '.');
        }
        buf_add_char(buf, i < len ? digits[i] : '0');
    }
}

struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->bytes ? buf->bytes : "", buf->len};
}

char *buf_take(struct buf *buf)
{
    if (!buf->failed && !buf->bytes) {
        buf_add(buf, "", 0);
    }
    char *taken = buf->failed ? NULL : buf->bytes;
    if (!taken) {
        free(buf->bytes);
    }
    *buf = (struct buf){.bytes_max = buf->bytes_max};
    return taken;
}
