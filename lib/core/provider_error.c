#include "core/provider_error.h"

#include "base/buf.h"

#include <jansson.h>
#include <stdio.h>

#define KEY_BYTES_MIN 12 /* shorter is a word of somebody's */

/* clang-format off */
/** What the words of an error stand for, where a 2xx brings it. */
static const struct {
    const char *word;
    int status;
} word_statuses[] = {
    {"invalid_request_error", 400},
    {"authentication_error", 401},
    {"payment_required", 402},
    {"quota_not_enough", 403},
    {"permission_error", 403},
    {"idempotency_in_progress", 409},
    {"idempotency_key_reused", 409},
    {"idempotency_result_indeterminate", 409},
    {"rate_limit_error", 429},
    {"build_request_failed", 500},
    {"server_error", 500},
    {"bad_gateway", 502},
    {"idempotency_unavailable", 503},
    {"service_unavailable", 503},
};

static const char *const moderation_words[] = {
    "moderat", "nsfw", "sensitive", "content_policy", "content policy",
    "审核", "违规", "敏感",
};

static const char *const moderation_codes[] = {"400063", "500054", "500063"};

static const char *const balance_words[] = {
    "insufficient quota", "insufficient_quota", "balance", "余额", "额度",
};
/* clang-format on */

#define LENGTH(array) (sizeof(array) / sizeof *(array))

struct str provider_json(struct str body, struct arena *arena)
{
    if (str_starts(body, STR("\xef\xbb\xbf"))) {
        body.at += 3;
        body.len -= 3;
    }
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

/** A text or a number as text; absent if it is neither, or blank. */
static struct str scalar(const json_t *value, size_t points,
                         struct arena *arena)
{
    struct str text = {0};
    char digits[32];
    if (json_is_string(value)) {
        text =
            (struct str){json_string_value(value), json_string_length(value)};
    } else if (json_is_number(value)) {
        snprintf(digits, sizeof digits, "%.15g", json_number_value(value));
        text = str_of(digits);
    }
    text = provider_text(text, points, arena);
    return text.len ? text : (struct str){0};
}

static bool any_in(struct str text, const char *const *words, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (str_find_nocase(text, str_of(words[i])) >= 0) {
            return true;
        }
    }
    return false;
}

/** N of `pixverse error N`, anywhere in the text; absent if it is not there. */
static struct str pixverse_code(struct str message)
{
    static const struct str lead = {"pixverse error ", 15};
    ptrdiff_t at = str_find_nocase(message, lead);
    if (at < 0) {
        return (struct str){0};
    }
    struct str code = {message.at + at + lead.len, 0};
    const char *end = message.at + message.len;
    while (code.at + code.len < end && code.at[code.len] >= '0' &&
           code.at[code.len] <= '9') {
        code.len++;
    }
    return code.len ? code : (struct str){0};
}

static bool is_status(struct str text, int *status)
{
    int64_t number = 0;
    if (!str_to_i64(text, 100, 599, &number)) {
        return false;
    }
    *status = (int)number;
    return true;
}

/** The status that an error inside a 2xx counts as; 0: it names none. */
static int inner_status(const struct provider_error *error, struct str outer)
{
    int status = 0;
    if (is_status(error->code, &status)) {
        return status;
    }
    for (size_t i = 0; i < LENGTH(word_statuses); i++) {
        const struct str word = str_of(word_statuses[i].word);
        if (str_eq_nocase(error->code, word) ||
            str_eq_nocase(error->type, word) ||
            str_starts(error->message, word)) {
            return word_statuses[i].status;
        }
    }
    if (is_status(outer, &status) && status / 100 != 2) {
        return status;
    }
    return 0;
}

/** An error that says something; {} and {"code":""} say nothing. */
static bool read_object(const json_t *json, struct arena *arena,
                        struct provider_error *error)
{
    if (json_is_string(json)) {
        error->message = scalar(json, PROVIDER_TEXT_POINTS_MAX, arena);
        return error->message.len > 0;
    }
    if (!json_is_object(json)) {
        return false;
    }
    error->type =
        scalar(json_object_get(json, "type"), PROVIDER_CODE_POINTS_MAX, arena);
    error->code =
        scalar(json_object_get(json, "code"), PROVIDER_CODE_POINTS_MAX, arena);
    error->message = scalar(json_object_get(json, "message"),
                            PROVIDER_TEXT_POINTS_MAX, arena);
    return error->type.len || error->code.len || error->message.len;
}

static void read_body(const json_t *root, struct arena *arena,
                      struct provider_error *error)
{
    const json_t *data = json_object_get(root, "data");
    if (json_is_array(data)) {
        data = json_array_get(data, 0);
    }
    bool told = read_object(json_object_get(root, "error"), arena, error) ||
                read_object(json_object_get(data, "error"), arena, error);
    const struct str outer =
        scalar(json_object_get(root, "code"), PROVIDER_CODE_POINTS_MAX, arena);
    int status = 0;
    /* Only a code that can be a status says anything: 0 or "success" are other
     * people's ways to say that all is well. */
    told |= is_status(outer, &status) && status / 100 != 2;
    if (!error->message.len) {
        error->message = scalar(json_object_get(root, "message"),
                                PROVIDER_TEXT_POINTS_MAX, arena);
    }
    error->told = told;
    if (told && error->status / 100 == 2) {
        error->status = inner_status(error, outer);
    }
}

void provider_error_read(const struct reply *reply, struct arena *arena,
                         struct provider_error *error)
{
    *error = (struct provider_error){.status = reply->status};
    struct str body = provider_json(reply->body, arena);
    json_t *root =
        json_loadb(body.at ? body.at : "", body.len, PROVIDER_JSON_FLAGS, NULL);
    if (root) {
        read_body(root, arena, error);
        json_decref(root);
    }
    error->worded = error->message.len > 0;
    if (!error->worded) {
        const char *text = arena_printf(
            arena, "the provider answered with HTTP status %d%s%s",
            reply->status, reply->why[0] ? "; " : "", reply->why);
        error->message = str_of(text ? text : "the provider refused");
    }
    error->provider_code = pixverse_code(error->message);
    if (!error->provider_code.len) {
        error->provider_code = error->code;
    }
}

bool provider_error_is_moderation(const struct provider_error *error)
{
    for (size_t i = 0; i < LENGTH(moderation_codes); i++) {
        if (str_eq(error->provider_code, str_of(moderation_codes[i]))) {
            return true;
        }
    }
    return any_in(error->message, moderation_words, LENGTH(moderation_words)) ||
           any_in(error->code, moderation_words, LENGTH(moderation_words)) ||
           any_in(error->type, moderation_words, LENGTH(moderation_words));
}

bool provider_error_is_balance(const struct provider_error *error)
{
    return str_find_nocase(error->type, STR("quota")) >= 0 ||
           str_find_nocase(error->code, STR("quota")) >= 0 ||
           any_in(error->message, balance_words, LENGTH(balance_words));
}

bool provider_error_says(const struct provider_error *error, const char *word)
{
    const struct str part = str_of(word);
    return str_eq_nocase(error->code, part) ||
           str_eq_nocase(error->type, part) || str_starts(error->message, part);
}
