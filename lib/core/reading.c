#include "core/reading.h"

#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define QUOTED_POINTS_MAX 100

/** Whether what comes now is only counted. */
static bool is_full(size_t all)
{
    return all >= REQUEST_DETAILS_MAX;
}

bool reading_is_full(const struct reading *reading)
{
    return is_full(reading->faults_all);
}

/**
 * A message may have half a million faults: behind the last place only their
 * number counts, and nothing is written or allocated for them.
 */
static void add_detail(struct arena *arena, struct details *details,
                       size_t *all, struct str field, const char *code,
                       const char *format, va_list args)
{
    assert(details->len <= REQUEST_DETAILS_MAX && code[0] && format[0]);
    assert(details->len <= *all);
    if (is_full(*all)) {
        ++*all;
        return;
    }
    if (!details->items) {
        details->items =
            arena_alloc(arena, REQUEST_DETAILS_MAX * sizeof *details->items);
    }
    if (!details->items) {
        return;
    }
    char text[4096]; /* names and values in it are cut by their quoting */
    vsnprintf(text, sizeof text, format, args);
    const char *name = arena_copy(arena, field.at, field.len);
    const char *message = arena_copy(arena, text, strlen(text));
    ++*all;
    details->items[details->len++] =
        (struct detail){{name, name ? field.len : 0}, code, str_of(message)};
}

/** In the last place, how many there are besides. */
static void count_rest(struct arena *arena, struct details *details, size_t all,
                       const char *what)
{
    assert(details->len <= REQUEST_DETAILS_MAX && what[0]);
    if (all <= REQUEST_DETAILS_MAX || !details->items) {
        return;
    }
    const char *rest = arena_printf(arena, "and %zu more %s",
                                    all - REQUEST_DETAILS_MAX + 1, what);
    details->items[REQUEST_DETAILS_MAX - 1] = (struct detail){
        .field = STR("request"), .code = "too_many", .message = str_of(rest)};
}

void reading_count_rest(struct reading *reading)
{
    assert(reading->faults.len <= reading->faults_all);
    assert(reading->warnings.len <= reading->warnings_all);
    count_rest(reading->arena, &reading->faults, reading->faults_all, "faults");
    count_rest(reading->arena, &reading->warnings, reading->warnings_all,
               "warnings");
}

void reading_fault(struct reading *reading, struct str field, const char *code,
                   const char *format, ...)
{
    assert(reading->arena);
    va_list args;
    va_start(args, format);
    add_detail(reading->arena, &reading->faults, &reading->faults_all, field,
               code, format, args);
    va_end(args);
}

void reading_warning(struct reading *reading, struct str field,
                     const char *code, const char *format, ...)
{
    assert(reading->arena);
    va_list args;
    va_start(args, format);
    add_detail(reading->arena, &reading->warnings, &reading->warnings_all,
               field, code, format, args);
    va_end(args);
}

/** A URL without its user info and query: both may hold somebody's secrets. */
static void quote_text(struct buf *out, struct str text)
{
    struct buf plain;
    buf_init(&plain, 0);
    ptrdiff_t scheme = str_find_nocase(text, STR("://"));
    if (scheme >= 0) {
        struct str rest = {text.at + scheme + 3, text.len - (size_t)scheme - 3};
        size_t end = 0;
        while (end < rest.len && !strchr("/?#", rest.at[end])) {
            end++;
        }
        const char *at = end ? memrchr(rest.at, '@', end) : NULL;
        const char *query = memchr(rest.at, '?', rest.len);
        if (at || query) {
            const char *from = at ? at : rest.at;
            const char *to = query ? query + 1 : rest.at + rest.len;
            buf_add(&plain, text.at, (size_t)scheme + 3);
            buf_add_text(&plain, at ? "\xe2\x80\xa6" : "");
            buf_add(&plain, from, to > from ? (size_t)(to - from) : 0);
            buf_add_text(&plain, query ? "\xe2\x80\xa6" : "");
            text = buf_str(&plain);
        }
    }
    struct str cut = str_cut_points(text, QUOTED_POINTS_MAX);
    struct buf whole;
    buf_init(&whole, 0);
    buf_add_str(&whole, cut);
    buf_add_text(&whole, cut.len < text.len ? "\xe2\x80\xa6" : "");
    buf_add_json(out, buf_str(&whole));
    out->failed |= plain.failed || whole.failed;
    buf_done(&whole);
    buf_done(&plain);
}

const char *reading_quote(struct reading *reading, const json_t *value)
{
    if (reading_is_full(reading)) {
        return ""; /* nobody will read it */
    }
    struct buf out;
    buf_init(&out, 0);
    if (json_is_object(value)) {
        buf_add_text(&out, "an object");
    } else if (json_is_array(value)) {
        buf_add_text(&out, "an array");
    } else if (json_is_string(value) && !json_is_big(value)) {
        quote_text(&out, (struct str){json_string_value(value),
                                      json_string_length(value)});
    } else {
        json_write(&out, value);
    }
    const char *text =
        out.failed ? NULL : arena_copy(reading->arena, out.bytes, out.len);
    reading->arena->failed |= out.failed;
    buf_done(&out);
    return text ? text : "";
}

void reading_unknown(struct reading *reading, struct str name,
                     const char *nearest, const char *place)
{
    assert(!nearest || !place);
    struct str path = str_cut_points(name, QUOTED_POINTS_MAX);
    struct buf quoted;
    buf_init(&quoted, 0);
    quote_text(&quoted, name);
    const char *shown = quoted.failed ? "" : quoted.bytes;
    if (nearest) {
        reading_fault(reading, path, "unknown_field",
                      "unknown field %s, did you mean \"%s\"?", shown, nearest);
    } else if (place) {
        reading_fault(reading, path, "unknown_field",
                      "unknown field %s, it belongs %s", shown, place);
    } else {
        reading_fault(reading, path, "unknown_field", "unknown field %s",
                      shown);
    }
    reading->arena->failed |= quoted.failed;
    buf_done(&quoted);
}
