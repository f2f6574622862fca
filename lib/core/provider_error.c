#include "core/provider_error.h"

#include "base/buf.h"
#include "core/provider_json.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>

#define DEPTH_MAX 5    /* of errors inside errors */
#define ITEMS_MAX 10   /* of a list of faults */
#define PIECES_MAX 100 /* each is looked for in those before it */
/* more than 2,000 points of what comes of it */
#define GATHERED_BYTES_MAX 9000

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

/* Names under which relays and frameworks tell what went wrong (RFC 9457's
 * title and detail among them), in the order of reading. */
static const char *const message_names[] = {
    "message", "msg", "error", "error_message", "error_msg", "errmsg",
    "ErrMsg", "error_description", "fail_reason", "failure_reason",
    "failed_reason", "reason", "title", "detail", "details", "errors",
    "innererror",
};

/* Of a task they say that it failed; "message" and its like may say anything. */
static const char *const failure_names[] = {
    "error", "error_message", "error_msg", "errmsg", "ErrMsg", "fail_reason",
    "failure_reason", "failed_reason",
};

static const char *const code_names[] = {
    "code", "error_code", "err_code", "errcode", "ErrCode",
};
/* clang-format on */

#define LENGTH(array) (sizeof(array) / sizeof *(array))

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

static struct str code_of(const json_t *object, struct arena *arena)
{
    struct str code = {0};
    for (size_t i = 0; i < LENGTH(code_names) && !code.len; i++) {
        code = scalar(json_object_get(object, code_names[i]),
                      PROVIDER_CODE_POINTS_MAX, arena);
    }
    return code;
}

/* ---- words, wherever they stand ---- */

/** What is gathered of a reply's words. */
struct words {
    struct buf text;
    int pieces;       /* looked at */
    struct str inner; /* the first code inside */
    struct arena *arena;
};

static void gather(struct words *words, const json_t *value, int depth);

/** Once each, one behind the other. */
static void add_piece(struct words *words, struct str piece)
{
    piece = str_trim(str_cut_points(str_trim(piece), PROVIDER_TEXT_POINTS_MAX));
    if (!piece.len || words->text.len > GATHERED_BYTES_MAX ||
        ++words->pieces > PIECES_MAX ||
        str_find_nocase(buf_str(&words->text), piece) >= 0) {
        return;
    }
    if (words->text.len) {
        const bool begun = str_ends(buf_str(&words->text), STR(":"));
        buf_add_text(&words->text, begun ? " " : "; ");
    }
    buf_add_str(&words->text, piece);
}

/** An error that was passed on as text: `upstream said: {"code":…}`. */
static void gather_text(struct words *words, struct str text, int depth)
{
    assert(depth >= 0);
    const char *at = text.len ? memchr(text.at, '{', text.len) : NULL;
    json_error_t error;
    json_t *nested = at && depth > 0
                         ? json_loadb(at, (size_t)(text.at + text.len - at),
                                      PROVIDER_JSON_FLAGS, &error)
                         : NULL;
    const size_t before = words->text.len;
    if (nested) {
        add_piece(words, (struct str){text.at, (size_t)(at - text.at)});
        const size_t lead = words->text.len;
        gather(words, nested, depth - 1);
        if (words->text.len > lead) {
            const char *rest = at + error.position;
            add_piece(words,
                      (struct str){rest, (size_t)(text.at + text.len - rest)});
            json_decref(nested);
            return;
        }
        words->text.len = before; /* it told nothing: the text as it stands */
    }
    json_decref(nested);
    add_piece(words, text);
}

/** The place of a fault, as FastAPI names it: "body.prompt:". */
static void gather_place(struct words *words, const json_t *place)
{
    struct buf text;
    buf_init(&text, 0);
    for (size_t i = 0; i < json_array_size(place) && i < ITEMS_MAX; i++) {
        const struct str part = scalar(json_array_get(place, i),
                                       PROVIDER_CODE_POINTS_MAX, words->arena);
        buf_add_text(&text, text.len ? "." : "");
        buf_add_str(&text, part);
    }
    if (text.len && !text.failed) {
        buf_add_char(&text, ':');
        add_piece(words, buf_str(&text));
    }
    buf_done(&text);
}

/** Faults by the name of their field. */
static void gather_faults(struct words *words, const json_t *faults, int depth)
{
    assert(depth >= 0);
    const char *key;
    json_t *value;
    int left = ITEMS_MAX;
    json_object_foreach((json_t *)(uintptr_t)faults, key, value)
    {
        json_t *place = json_pack("[s]", key);
        gather_place(words, place);
        json_decref(place);
        gather(words, value, depth);
        if (--left == 0) {
            break;
        }
    }
}

/** What stands under the names that tell of errors. */
static void gather_names(struct words *words, const json_t *object, int depth)
{
    assert(depth >= 0);
    for (size_t i = 0; i < LENGTH(message_names); i++) {
        const json_t *value = json_object_get(object, message_names[i]);
        if (json_is_object(value) && strcmp(message_names[i], "errors") == 0) {
            gather_faults(words, value, depth);
        } else {
            gather(words, value, depth);
        }
    }
}

/** Whatever a value tells in words. */
static void gather(struct words *words, const json_t *value, int depth)
{
    assert(depth >= 0);
    if (json_is_string(value)) {
        gather_text(
            words,
            (struct str){json_string_value(value), json_string_length(value)},
            depth);
    } else if (json_is_object(value) && depth > 0) {
        if (!words->inner.len) {
            words->inner = code_of(value, words->arena);
        }
        gather_place(words, json_object_get(value, "loc"));
        gather_names(words, value, depth - 1);
    }
    for (size_t i = 0; depth > 0 && i < json_array_size(value) && i < ITEMS_MAX;
         i++) {
        gather(words, json_array_get(value, i), depth - 1);
    }
}

static void take_words(struct words *words, struct provider_error *error)
{
    error->inner = words->inner;
    error->message = provider_text(buf_str(&words->text),
                                   PROVIDER_TEXT_POINTS_MAX, words->arena);
    words->arena->failed |= words->text.failed;
    buf_done(&words->text);
}

/* ---- where an error stands ---- */

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

/** The status of a documented word; 0: it is none. */
static int word_status(struct str code, struct str type, struct str lead)
{
    for (size_t i = 0; i < LENGTH(word_statuses); i++) {
        const struct str word = str_of(word_statuses[i].word);
        if (str_eq_nocase(code, word) || str_eq_nocase(type, word) ||
            str_starts(lead, word)) {
            return word_statuses[i].status;
        }
    }
    return 0;
}

/** A code that can be a status, but of no success, or a documented word. */
static bool code_tells(struct str code)
{
    int status = 0;
    return is_status(code, &status)
               ? status / 100 != 2
               : word_status(code, (struct str){0}, (struct str){0}) != 0;
}

/**
 * The status that an error inside a 2xx counts as; 0: it names none. Flat, it
 * names one by its code alone: a refusal must be documented, for what is not
 * refused may have been bought. A redirect is HTTP's to tell.
 */
static int inner_status(const struct provider_error *error, struct str outer)
{
    int status = 0;
    if (error->flat) {
        if (!is_status(outer, &status)) {
            status = word_status(outer, (struct str){0}, (struct str){0});
        }
    } else if (!is_status(error->code, &status)) {
        status = word_status(error->code, error->type, error->lead);
        if (!status && !is_status(outer, &status)) {
            status = word_status(outer, (struct str){0}, (struct str){0});
        }
    }
    return status / 100 == 2 || status / 100 == 3 ? 0 : status;
}

/** The `error` object, if it says something; {} and {"code":""} don't. */
static bool read_object(const json_t *json, struct words *words,
                        struct provider_error *error)
{
    if (!json_is_object(json)) {
        return false;
    }
    error->type = scalar(json_object_get(json, "type"),
                         PROVIDER_CODE_POINTS_MAX, words->arena);
    error->code = code_of(json, words->arena);
    error->lead = scalar(json_object_get(json, "message"),
                         PROVIDER_TEXT_POINTS_MAX, words->arena);
    const size_t before = words->text.len;
    gather_names(words, json, DEPTH_MAX);
    return error->type.len || error->code.len || words->text.len > before;
}

/** A task, or a webhook's: its own fields tell of it, not those around it. */
static bool read_task(const json_t *task, struct words *words,
                      struct provider_error *error)
{
    if (read_object(json_object_get(task, "error"), words, error)) {
        return true;
    }
    error->flat = true;
    error->type = (struct str){0};
    for (size_t i = 0; i < LENGTH(failure_names); i++) {
        gather(words, json_object_get(task, failure_names[i]), DEPTH_MAX);
    }
    const bool told = words->text.len > 0;
    for (size_t i = 0; !told && i < 2; i++) { /* message, msg */
        gather(words, json_object_get(task, message_names[i]), DEPTH_MAX);
    }
    error->code = code_of(task, words->arena);
    return told;
}

/**
 * Outside an `error` object. In a 2xx only a code that can be a status, or is
 * documented, says anything: 0 or "success" are other people's ways to say that
 * all is well.
 */
static bool read_flat(const json_t *root, const json_t *data,
                      struct words *words, struct provider_error *error)
{
    const bool refused = error->status / 100 != 2;
    const struct str outer = scalar(json_object_get(root, "code"),
                                    PROVIDER_CODE_POINTS_MAX, words->arena);
    const bool coded = code_tells(outer);
    error->flat = true;
    if (refused || coded || !json_is_object(data)) {
        gather_names(words, root, DEPTH_MAX);
    }
    gather(words, data, json_is_object(data) ? 2 : 1);
    if (!refused) {
        error->code = coded ? outer : (struct str){0};
        return coded;
    }
    error->code = code_of(root, words->arena);
    error->lead = scalar(json_object_get(root, "message"),
                         PROVIDER_TEXT_POINTS_MAX, words->arena);
    error->type = scalar(json_object_get(root, "type"),
                         PROVIDER_CODE_POINTS_MAX, words->arena);
    if (error->type.len && memchr(error->type.at, ':', error->type.len)) {
        error->type = (struct str){0}; /* a link to a page (RFC 9457 3.1.1) */
    }
    return words->text.len > 0 || error->code.len > 0 || error->type.len > 0;
}

static bool is_task(const json_t *object)
{
    return (json_is_string(json_object_get(object, "status")) ||
            json_is_string(json_object_get(object, "task_status"))) &&
           (json_is_string(json_object_get(object, "id")) ||
            json_is_string(json_object_get(object, "task_id")));
}

static void read_body(const json_t *root, struct arena *arena,
                      struct provider_error *error)
{
    struct words words = {.arena = arena};
    buf_init(&words.text, 0);
    const json_t *data = json_object_get(root, "data");
    if (json_is_array(data)) {
        data = json_array_get(data, 0);
    }
    const bool good = error->status / 100 == 2;
    if (good && (is_task(data) || is_task(root))) {
        error->told = read_task(is_task(data) ? data : root, &words, error);
        take_words(&words, error);
        return;
    }
    const struct str outer =
        scalar(json_object_get(root, "code"), PROVIDER_CODE_POINTS_MAX, arena);
    if (read_object(json_object_get(root, "error"), &words, error) ||
        read_object(json_object_get(data, "error"), &words, error)) {
        error->told = true;
        if (!words.text.len) {
            gather(&words, json_object_get(root, "message"), DEPTH_MAX);
        }
    } else {
        error->told = read_flat(root, data, &words, error);
    }
    if (good && error->told) {
        error->status = inner_status(error, outer);
    }
    take_words(&words, error);
}

void provider_error_read(const struct reply *reply, struct arena *arena,
                         struct provider_error *error)
{
    assert(reply && arena && error);
    *error = (struct provider_error){.status = reply->status};
    struct str body = provider_json(reply->body, arena);
    json_t *root = provider_json_read(body, NULL);
    error->json = json_is_object(root);
    if (error->json) {
        read_body(root, arena, error);
    }
    json_decref(root);
    error->worded = error->message.len > 0;
    if (!error->worded) {
        const char *text =
            arena_printf(arena, "the provider answered with HTTP status %d%s%s",
                         reply->status, reply->why[0] ? "; " : "", reply->why);
        error->message = str_of(text ? text : "the provider refused");
    }
    int status = 0;
    error->provider_code = pixverse_code(error->message);
    if (!error->provider_code.len) {
        const bool general =
            !error->code.len || is_status(error->code, &status);
        error->provider_code =
            general && error->inner.len ? error->inner : error->code;
    }
}
