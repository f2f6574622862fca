#include "core/asset.h"

#include "base/buf.h"
#include "core/json.h"

#include <assert.h>
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TENANT_BYTES_MAX 64
#define SUBMISSION_DIGITS_MAX 10
#define INDEX_DIGITS_MAX 6 /* more videos than a reply can name */

size_t assets_read(const char *result, struct arena *arena,
                   struct asset **assets)
{
    assert(arena && assets);
    size_t len = 0;
    bool no_memory = false;
    json_t *list = result ? json_read(str_of(result), &no_memory) : NULL;
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
    assert(key_template[0] && arena);
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

/* ---- the way back ---- */

enum part {
    PART_TENANT,
    PART_REQUEST_ID,
    PART_INDEX,
    PART_YEAR,
    PART_MONTH,
    PART_DAY,
    PARTS_LEN
};

static const struct {
    const char *name;
    size_t least;
    size_t most;
} parts[PARTS_LEN] = {
    [PART_TENANT] = {"{tenant}", 1, TENANT_BYTES_MAX},
    [PART_REQUEST_ID] = {"{request_id}", 1,
                         REQUEST_ID_BYTES + SUBMISSION_DIGITS_MAX},
    [PART_INDEX] = {"{index}", 1, INDEX_DIGITS_MAX},
    [PART_YEAR] = {"{yyyy}", 4, 4},
    [PART_MONTH] = {"{mm}", 2, 2},
    [PART_DAY] = {"{dd}", 2, 2},
};

/** What the placeholders stand for, as far as the key has been read. */
struct fit {
    struct str values[PARTS_LEN]; /* absent: not met yet */
    struct str *request_id;       /* told when all fits; null: nobody asks */
};

static bool is_name(struct str text, size_t most)
{
    bool good = text.len > 0 && text.len <= most &&
                isalnum((unsigned char)text.at[0]) != 0;
    for (size_t i = 0; good && i < text.len; i++) {
        good = isalnum((unsigned char)text.at[i]) != 0 ||
               memchr("._-", text.at[i], 3) != NULL;
    }
    return good;
}

/** As %d and %zu write it; `first` is the least first digit. */
static bool is_number(struct str text, char first, size_t most)
{
    bool good = text.len > 0 && text.len <= most && text.at[0] >= first &&
                (text.at[0] != '0' || text.len == 1);
    for (size_t i = 0; good && i < text.len; i++) {
        good = text.at[i] >= '0' && text.at[i] <= '9';
    }
    return good;
}

/** Of digits; -1: not of digits alone. */
static int number_of(struct str text)
{
    int value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return -1;
        }
        value = value * 10 + (text.at[i] - '0');
    }
    return value;
}

/** An id, or that of an operator's n-th submission: "<id>/n". */
static bool is_request_id(struct str text)
{
    const char *slash = memchr(text.at, '/', text.len);
    struct str id = {text.at, slash ? (size_t)(slash - text.at) : text.len};
    if (!is_name(id, REQUEST_ID_BYTES - 1)) {
        return false;
    }
    return !slash || is_number((struct str){slash + 1, text.len - id.len - 1},
                               '1', SUBMISSION_DIGITS_MAX);
}

static bool part_is_good(enum part part, struct str text)
{
    switch (part) {
    case PART_TENANT:
        return is_name(text, TENANT_BYTES_MAX);
    case PART_REQUEST_ID:
        return is_request_id(text);
    case PART_INDEX:
        return is_number(text, '0', INDEX_DIGITS_MAX);
    case PART_YEAR:
        return number_of(text) >= 1970;
    case PART_MONTH:
        return number_of(text) >= 1 && number_of(text) <= 12;
    case PART_DAY:
        return number_of(text) >= 1 && number_of(text) <= 31;
    case PARTS_LEN:
        break;
    }
    return false;
}

/** The calendar has that day, as far as the key names one. */
static bool date_is_good(const struct fit *fit)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct str year = fit->values[PART_YEAR];
    struct str month = fit->values[PART_MONTH];
    struct str day = fit->values[PART_DAY];
    if (!month.at || !day.at) {
        return true;
    }
    if (number_of(day) > days[number_of(month) - 1]) {
        return false;
    }
    int y = year.at ? number_of(year) : 2000;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return leap || number_of(month) != 2 || number_of(day) < 29;
}

static bool fits(const char *at, struct str key, struct fit fit);

/** Tries every length that a placeholder's value can have. */
static bool fits_part(enum part part, const char *after, struct str key,
                      struct fit fit)
{
    struct str known = fit.values[part];
    if (known.at) { /* a second time it stands for the same */
        return str_starts(key, known) &&
               fits(after,
                    (struct str){key.at + known.len, key.len - known.len}, fit);
    }
    for (size_t len = parts[part].least;
         len <= parts[part].most && len <= key.len; len++) {
        fit.values[part] = (struct str){key.at, len};
        if (part_is_good(part, fit.values[part]) &&
            fits(after, (struct str){key.at + len, key.len - len}, fit)) {
            return true;
        }
    }
    return false;
}

static bool fits(const char *at, struct str key, struct fit fit)
{
    for (; *at; at++) {
        for (int part = 0; *at == '{' && part < PARTS_LEN; part++) {
            const struct str name = str_of(parts[part].name);
            if (str_starts(str_of(at), name)) {
                return fits_part((enum part)part, at + name.len, key, fit);
            }
        }
        if (key.len == 0 || key.at[0] != *at) {
            return false;
        }
        key = (struct str){key.at + 1, key.len - 1};
    }
    bool good = key.len == 0 && date_is_good(&fit);
    if (good && fit.request_id) {
        *fit.request_id = fit.values[PART_REQUEST_ID];
    }
    return good;
}

bool asset_key_fits(const char *key_template, struct str key)
{
    return key.len > 0 && fits(key_template, key, (struct fit){0});
}

struct str asset_key_request(const char *key_template, struct str key)
{
    struct str id = {0};
    if (key.len == 0 ||
        !fits(key_template, key, (struct fit){.request_id = &id})) {
        return (struct str){0};
    }
    const char *slash = id.at ? memchr(id.at, '/', id.len) : NULL;
    if (slash) {
        id.len = (size_t)(slash - id.at);
    }
    return id;
}
