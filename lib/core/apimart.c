#include "core/apimart.h"

#include "core/digest.h"
#include "core/json.h"
#include "core/provider_error.h"
#include "core/provider_json.h"

#include <assert.h>
#include <math.h>
#include <jansson.h>

#define RETENTION_MAX_SECONDS (366.0 * 86400)
#define HALF_HEX 16 /* digits of the URL's hash, and of the key's */

/* ---- the account ---- */

static void short_digest(struct str bytes, char out[static HALF_HEX + 1])
{
    assert(bytes.at || bytes.len == 0);
    unsigned char sum[DIGEST_BYTES];
    digest_of(bytes, sum);
    str_hex(sum, HALF_HEX / 2, out);
}

/** Without the port that the scheme implies anyway. */
static struct str without_default_port(struct str origin)
{
    static const struct str https = {"https://", 8};
    static const struct str http = {"http://", 7};
    if (str_starts(origin, https) && str_ends(origin, STR(":443"))) {
        origin.len -= 4;
    } else if (str_starts(origin, http) && str_ends(origin, STR(":80"))) {
        origin.len -= 3;
    }
    return origin;
}

static size_t put(char *out, size_t size, size_t at, struct str text)
{
    size_t len = text.len < size - at ? text.len : size - at;
    memcpy(out + at, text.at, len);
    return at + len;
}

/** APIMART_BASE_URL as it is used: "https://host/" is "https://host". */
static struct str base_of(struct str url)
{
    url = str_trim(url);
    while (str_ends(url, STR("/"))) {
        url.len--;
    }
    return url;
}

/** Scheme and host in lower case, no default port, no slash at the end. */
static size_t normal_url(struct str url, char *out, size_t size)
{
    url = base_of(url);
    char origin[512];
    size_t len = 0;
    ptrdiff_t scheme = str_find_nocase(url, STR("://"));
    size_t from = scheme < 0 ? 0 : (size_t)scheme + 3;
    while (len < url.len && len < sizeof origin &&
           (len < from || url.at[len] != '/')) {
        char c = url.at[len];
        origin[len++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    struct str rest = {url.at + len, url.len - len};
    size_t at =
        put(out, size, 0, without_default_port((struct str){origin, len}));
    return put(out, size, at, rest);
}

void apimart_account(struct str name, struct str base_url, struct str key,
                     char out[static ACCOUNT_BYTES])
{
    static_assert(ACCOUNT_BYTES == ACCOUNT_NAME_BYTES + 2 * HALF_HEX + 2,
                  "a name, two hashes and colons between");
    assert(name.len > 0 && name.len < ACCOUNT_NAME_BYTES);
    assert(!memchr(name.at, ':', name.len));
    char url[2048];
    size_t len = base_url.at ? normal_url(base_url, url, sizeof url) : 0;
    memcpy(out, name.at, name.len);
    out += name.len;
    *out++ = ':';
    short_digest((struct str){url, len}, out);
    out[HALF_HEX] = ':';
    short_digest(str_trim(key), out + HALF_HEX + 1);
}

bool apimart_same_account(const char *account_a, const char *account_b)
{
    const char *key = strrchr(account_a, ':');
    const size_t len = key ? (size_t)(key - account_a) + 1 : 0;
    return len > HALF_HEX && strncmp(account_a, account_b, len) == 0 &&
           !strchr(account_b + len, ':');
}

struct str apimart_account_name(const char *account)
{
    return (struct str){account, strcspn(account, ":")};
}

void apimart_url(struct str base_url, char *out, size_t bytes)
{
    assert(bytes > 0);
    out[normal_url(base_url, out, bytes - 1)] = '\0';
}

/* ---- exchanges ---- */

static struct str url_of(const struct apimart *apimart, const char *path,
                         struct str last, struct arena *arena)
{
    /* Of each poll: not by arena_printf(), which goes over it twice. */
    const struct str parts[] = {base_of(apimart->base_url), str_of(path), last};
    size_t len = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        len += parts[i].len;
    }
    char *url = arena_alloc(arena, len + 1);
    char *at = url;
    for (size_t i = 0; url && i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].len) {
            memcpy(at, parts[i].at, parts[i].len);
        }
        at += parts[i].len;
    }
    return (struct str){url, url ? len : 0};
}

static struct exchange ask(const struct apimart *apimart, const char *path,
                           struct str last, struct arena *arena)
{
    return (struct exchange){
        .method = EXCHANGE_GET,
        .url = url_of(apimart, path, last, arena),
        .bearer = apimart->key,
    };
}

struct exchange apimart_submit(const struct apimart *apimart, struct str body,
                               struct str idempotency_key, struct arena *arena)
{
    return (struct exchange){
        .method = EXCHANGE_POST,
        .url = url_of(apimart, "/v1/videos/generations", STR(""), arena),
        .idempotency_key = idempotency_key,
        .body = body,
        .bearer = apimart->key,
    };
}

/** An id may hold any visible ASCII: it must stay one segment of the path. */
static bool is_unreserved(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.' ||
           c == '~';
}

static struct str path_segment(struct str id, struct arena *arena)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t plain = 0;
    while (plain < id.len && is_unreserved((unsigned char)id.at[plain])) {
        plain++;
    }
    if (plain == id.len) {
        return id; /* nearly every one */
    }
    char *out = arena_alloc(arena, 3 * id.len + 1);
    size_t len = 0;
    for (size_t i = 0; out && i < id.len; i++) {
        const unsigned char c = (unsigned char)id.at[i];
        if (is_unreserved(c)) {
            out[len++] = (char)c;
            continue;
        }
        out[len++] = '%';
        out[len++] = hex[c >> 4];
        out[len++] = hex[c & 15];
    }
    return (struct str){out, len};
}

struct exchange apimart_poll(const struct apimart *apimart,
                             struct str provider_task_id, struct arena *arena)
{
    /* Without `language`: it would translate the message that codes are read
     * from. */
    return ask(apimart, "/v1/tasks/", path_segment(provider_task_id, arena),
               arena);
}

struct exchange apimart_ask_schema(const struct apimart *apimart,
                                   struct arena *arena)
{
    return ask(apimart,
               "/v1/model-schema?model=pixverse-v6&operation=video_generation",
               STR(""), arena);
}

struct exchange apimart_ask_balance(const struct apimart *apimart, bool user,
                                    struct arena *arena)
{
    return ask(apimart, user ? "/v1/user/balance" : "/v1/balance", STR(""),
               arena);
}

/* ---- does it honour keys? ---- */

static json_t *load(const struct reply *reply)
{
    return provider_json_read(reply->body, NULL);
}

/** The block names the header that we send, and does not take it back. */
static bool names_our_header(const json_t *block)
{
    if (json_is_false(json_object_get(block, "supported")) ||
        json_is_false(json_object_get(block, "enabled"))) {
        return false;
    }
    const json_t *header = json_object_get(block, "header");
    return json_is_string(header) &&
           str_eq_nocase(str_trim(str_of(json_string_value(header))),
                         STR("Idempotency-Key"));
}

static enum keys_answer read_schema(const json_t *root, int64_t *retention_ms)
{
    const json_t *block = json_object_get(root, "idempotency");
    if (!json_is_object(block)) {
        block = json_object_get(json_object_get(root, "data"), "idempotency");
    }
    if (!names_our_header(block)) {
        return KEYS_IGNORED;
    }
    double seconds = 0;
    (void)json_to_amount(json_object_get(block, "retention_seconds"), &seconds);
    if (seconds >= 1 && seconds <= RETENTION_MAX_SECONDS) {
        *retention_ms = (int64_t)(seconds * 1000);
    }
    return KEYS_HONOURED;
}

enum keys_answer apimart_read_schema(const struct reply *reply,
                                     int64_t *retention_ms)
{
    assert(reply && retention_ms);
    if (reply->end != REPLY_WHOLE) {
        return KEYS_NO_ANSWER;
    }
    if (reply->status == 404) {
        return KEYS_IGNORED;
    }
    json_t *root = reply->status == 200 ? load(reply) : NULL;
    if (!root) {
        return KEYS_NO_ANSWER;
    }
    enum keys_answer answer = read_schema(root, retention_ms);
    json_decref(root);
    return answer;
}

/* ---- may a hold be lifted? ---- */

static struct str text_of(const json_t *value)
{
    return str_trim(
        (struct str){json_string_value(value), json_string_length(value)});
}

static bool is_without_limit(const json_t *remain)
{
    return (json_is_number(remain) && json_number_value(remain) == -1) ||
           str_eq(text_of(remain), STR("-1"));
}

static bool is_debt(const json_t *remain)
{
    return (json_is_number(remain) && json_number_value(remain) < 0) ||
           str_starts(text_of(remain), STR("-"));
}

/** What a balance page says; true also where it can't be read. */
static bool read_balance(const json_t *root)
{
    const json_t *data = json_object_get(root, "data");
    const json_t *page =
        json_object_get(root, "remain_balance") || !json_is_object(data) ? root
                                                                         : data;
    const json_t *remain = json_object_get(page, "remain_balance");
    if (json_is_false(json_object_get(root, "success")) ||
        json_is_false(json_object_get(page, "success"))) {
        return false;
    }
    double amount = 1;
    if (json_is_true(json_object_get(page, "unlimited_quota")) ||
        is_without_limit(remain)) {
        return true;
    }
    /* A debt is below 0; what is no number can't tell. */
    return json_to_amount(remain, &amount) ? amount > 0 : !is_debt(remain);
}

bool apimart_read_balance(const struct reply *reply, double *used,
                          double *remain)
{
    assert(reply && used && remain);
    const bool whole = reply->end == REPLY_WHOLE && reply->status / 100 == 2;
    json_t *root = whole ? load(reply) : NULL;
    const json_t *data = json_object_get(root, "data");
    const json_t *page =
        json_object_get(root, "remain_balance") || !json_is_object(data) ? root
                                                                         : data;
    const json_t *left = json_object_get(page, "remain_balance");
    const bool good = !json_is_false(json_object_get(root, "success")) &&
                      !json_is_false(json_object_get(page, "success"));
    *used = *remain = NAN;
    (void)json_to_amount(json_object_get(page, "used_balance"), used);
    if (!json_is_true(json_object_get(page, "unlimited_quota")) &&
        !is_without_limit(left)) {
        (void)json_to_amount(left, remain);
    }
    const bool read = root && good && (!isnan(*used) || !isnan(*remain));
    json_decref(root);
    return read;
}

static bool balance_is_back(const struct reply *reply, int status)
{
    if (status == 402 || status == 408 || status == 429 || status >= 500) {
        return false;
    }
    json_t *root = load(reply);
    /* A page that is not there, not for this key, or not readable can't tell:
     * one submission can. */
    bool back = status / 100 != 2 || !root || read_balance(root);
    json_decref(root);
    return back;
}

/** A page that is not there says nothing; who is kept out, is. */
static bool channel_is_back(const struct provider_error *error, int status)
{
    return error->json && (status / 100 == 2 || status / 100 == 4) &&
           (status != 403 || !provider_error_is_channel(error));
}

static bool is_back(enum hold_reason reason, const struct reply *reply,
                    const struct provider_error *error, int status)
{
    switch (reason) {
    case HOLD_AUTH:
        return status != 401 && status != 403;
    case HOLD_BALANCE:
        return balance_is_back(reply, status);
    case HOLD_CHANNEL:
        return channel_is_back(error, status);
    case HOLD_NONE:
    case HOLD_THROTTLE:
        return true;
    case HOLD_STORAGE:
    case HOLD_ACCOUNT:
    case HOLD_BUDGET:
    case HOLD_OPERATOR:
    case HOLD_REASONS_LEN:
        break; /* not the provider's to answer */
    }
    return false;
}

bool apimart_read_probe(enum hold_reason reason, const struct reply *reply,
                        struct arena *arena, struct str *message)
{
    assert(reply && arena && message);
    if (reply->end != REPLY_WHOLE) {
        const char *why = arena_printf(arena, "%s: %s",
                                       reply_end_name(reply->end), reply->why);
        *message = str_of(why ? why : reply_end_name(reply->end));
        return false;
    }
    struct provider_error error;
    provider_error_read(reply, arena, &error);
    const int status = reply->status / 100 == 2 && error.told && error.status
                           ? error.status
                           : reply->status;
    if (is_back(reason, reply, &error, status)) {
        *message = STR("");
        return true;
    }
    *message = error.message;
    if (status / 100 == 2 && !error.worded) {
        *message = reason == HOLD_BALANCE
                       ? STR("the balance is used up")
                       : STR("the answer is not the provider's JSON");
    }
    return false;
}
