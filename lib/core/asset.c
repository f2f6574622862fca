#include "core/asset.h"

#include "base/buf.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

size_t assets_read(const char *result, struct arena *arena,
                   struct asset **assets)
{
    size_t len = 0;
    json_t *list = result ? json_loads(result, 0, NULL) : NULL;
    size_t size = json_array_size(list);
    *assets = size ? arena_alloc(arena, size * sizeof **assets) : NULL;
    for (size_t i = 0; *assets && i < size; i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *url = json_object_get(item, "url");
        const char *text = json_string_value(url);
        if (!text) {
            continue;
        }
        size_t bytes = json_string_length(url);
        const char *copy = arena_copy(arena, text, bytes);
        if (!copy) {
            break;
        }
        (*assets)[len++] = (struct asset){
            .url = {copy, bytes},
            .expires_ms =
                json_integer_value(json_object_get(item, "expires_at")),
        };
    }
    json_decref(list);
    return len;
}

/** One placeholder, without its braces; false: it is none of ours. */
static bool expand(struct buf *out, struct str name, const struct facts *facts,
                   int32_t submission, size_t index, const struct tm *date)
{
    if (str_eq(name, STR("tenant"))) {
        buf_add_str(out, facts->tenant.at ? facts->tenant : STR("default"));
    } else if (str_eq(name, STR("yyyy"))) {
        buf_printf(out, "%04d", date->tm_year + 1900);
    } else if (str_eq(name, STR("mm"))) {
        buf_printf(out, "%02d", date->tm_mon + 1);
    } else if (str_eq(name, STR("dd"))) {
        buf_printf(out, "%02d", date->tm_mday);
    } else if (str_eq(name, STR("index"))) {
        buf_printf(out, "%zu", index);
    } else if (str_eq(name, STR("request_id"))) {
        buf_add_str(out, facts->request_id);
        if (submission > 0) {
            buf_printf(out, "/%d", submission);
        }
    } else {
        return false;
    }
    return true;
}

struct str asset_key(const char *key_template, const struct facts *facts,
                     int32_t submission, size_t index, struct arena *arena)
{
    time_t seconds = (time_t)(facts->received_ms / 1000);
    struct tm date;
    gmtime_r(&seconds, &date);
    struct buf out;
    buf_init(&out, 4096);
    for (const char *at = key_template; *at;) {
        const char *end = *at == '{' ? strchr(at, '}') : NULL;
        if (end && expand(&out, (struct str){at + 1, (size_t)(end - at) - 1},
                          facts, submission, index, &date)) {
            at = end + 1;
        } else {
            buf_add_char(&out, *at++);
        }
    }
    struct str text = buf_str(&out);
    struct str key = {0};
    if (!out.failed) {
        key = (struct str){arena_copy(arena, text.at, text.len), text.len};
    }
    buf_done(&out);
    return key;
}
