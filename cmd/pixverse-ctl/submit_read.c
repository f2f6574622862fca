#include "submit_read.h"

#include "core/json.h"
#include "ctl.h"
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILE_BYTES_MAX ((size_t)256 << 20)

/* clang-format off */
const struct option submit_options[] = {
    {"--prompt", "TEXT", "what the video shows; needed in every mode", false},
    {"--resolution", "RES", "360p, 540p (default), 720p or 1080p", false},
    {"--duration", "SECONDS", "1 to 15, default 5; with frames 5 or 8", false},
    {"--size", "W:H", "such as 16:9 (default), 9:16, 1:1, 21:9", false},
    {"--seed", "N", "0 to 2147483647", false},
    {"--negative-prompt", "TEXT", "what it must not show", false},
    {"--audio", OPTION_SWITCH, "with sound; costs more", false},
    {"--watermark", OPTION_SWITCH, "with the provider's watermark", false},
    {"--motion-mode", "MODE", "only normal", false},
    {"--multi-clip", OPTION_SWITCH, "several shots", false},
    {"--image-url", "URL", "the picture to begin with", true},
    {"--first-frame", "URL", "transition: from this picture", false},
    {"--last-frame", "URL", "transition: to this picture", false},
    {"--reference", "URL", "fusion: what shall be in it, 1 to 7", true},
    {"--extend-from", "TASK-ID", "go on from this task's video", false},
    {"--extend-from-request", "ID", "go on from the video of this request, once it is there", false},
    {"--account", "NAME", "with --extend-from, of a foreign task: the account that has it", false},
    {"--model", "NAME", "only pixverse-v6, the default", false},
    {"--id", "ID", "request id, the name of the purchase; default: a new one", false},
    {"--tenant", "NAME", "default: default", false},
    {"--priority", "0..9", "9 first, default 5", false},
    {"--deadline", "SECONDS", "1 to 604800, from when it is received", false},
    {"--metadata", "JSON", "an object that comes back in every event", false},
    {"--file", "FILE", "whole messages instead: JSON or JSON lines; - is standard input", false},
    {"--wait", NULL, "show progress until the end", false},
    {"--dry-run", NULL, "validate, print what would be sent, send nothing", false},
    {"--json", NULL, "JSON lines: with --wait the events", false},
    {"--help", NULL, "this text", false},
    {0},
};

enum form { FORM_TEXT, FORM_NUMBER, FORM_SWITCH, FORM_LIST, FORM_JSON };

static const struct {
    const char *flag;
    const char *field;
    enum form form;
    bool envelope;
} places[] = {
    {"--prompt", "prompt", FORM_TEXT, false},
    {"--resolution", "resolution", FORM_TEXT, false},
    {"--duration", "duration", FORM_NUMBER, false},
    {"--size", "size", FORM_TEXT, false},
    {"--seed", "seed", FORM_NUMBER, false},
    {"--negative-prompt", "negative_prompt", FORM_TEXT, false},
    {"--audio", "audio", FORM_SWITCH, false},
    {"--watermark", "watermark", FORM_SWITCH, false},
    {"--motion-mode", "motion_mode", FORM_TEXT, false},
    {"--multi-clip", "generate_multi_clip_switch", FORM_SWITCH, false},
    {"--image-url", "image_urls", FORM_LIST, false},
    {"--first-frame", "first_frame_image", FORM_TEXT, false},
    {"--last-frame", "last_frame_image", FORM_TEXT, false},
    {"--reference", "img_references", FORM_LIST, false},
    {"--extend-from", "extend_from_task_id", FORM_TEXT, false},
    {"--extend-from-request", "extend_from_request_id", FORM_TEXT, false},
    {"--model", "model", FORM_TEXT, false},
    {"--id", "request_id", FORM_TEXT, true},
    {"--tenant", "tenant", FORM_TEXT, true},
    {"--priority", "priority", FORM_NUMBER, true},
    {"--deadline", "deadline_seconds", FORM_NUMBER, true},
    {"--metadata", "metadata", FORM_JSON, true},
    {"--account", "account", FORM_TEXT, true},
};
/* clang-format on */

#define PLACES_LEN (sizeof places / sizeof places[0])

const char *submit_request_flag(const struct options *options)
{
    for (size_t i = 0; i < PLACES_LEN; i++) {
        if (options_has(options, places[i].flag)) {
            return places[i].flag;
        }
    }
    return NULL;
}

/** Text that is no UTF-8 can't be JSON: its bytes are replaced. */
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);
    if (!value) {
        struct buf repaired;
        buf_init(&repaired, 0);
        buf_add_json(&repaired, str_of(text));
        value = repaired.bytes
                    ? json_loads(repaired.bytes, JSON_DECODE_ANY, NULL)
                    : NULL;
        buf_done(&repaired);
    }
    return value;
}

static json_t *value_of(enum form form, const char *text)
{
    int64_t number;
    bool no_memory = false;
    json_t *value;
    switch (form) {
    case FORM_NUMBER:
        if (str_to_i64(str_of(text), INT64_MIN, INT64_MAX, &number)) {
            return json_integer(number);
        }
        break;
    case FORM_SWITCH:
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
            return json_boolean(text[0] == 't');
        }
        break;
    case FORM_JSON:
        value = json_read(str_of(text), &no_memory);
        if (value) {
            return value;
        }
        break;
    case FORM_TEXT:
    case FORM_LIST:
        break;
    }
    return text_value(text);
}

static void put_value(json_t *object, const char *field, enum form form,
                      const char *text)
{
    if (form != FORM_LIST) {
        json_object_set_new(object, field, value_of(form, text));
        return;
    }
    json_t *list = json_object_get(object, field);
    if (!list) {
        list = json_array();
        json_object_set_new(object, field, list);
    }
    json_array_append_new(list, text_value(text));
}

static void id_of_now(char *out, size_t out_bytes, uint32_t random)
{
    time_t now_s = time(NULL);
    struct tm utc;
    gmtime_r(&now_s, &utc);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &utc);
    snprintf(out, out_bytes, "ctl-%s-%08" PRIx32, stamp, random);
}

static bool add(struct submissions *submissions, struct str value, int place)
{
    if ((submissions->len & (submissions->len + 1)) == 0) {
        struct submission *grown = realloc(
            submissions->all, (2 * submissions->len + 1) * sizeof *grown);
        if (!grown) {
            return false;
        }
        submissions->all = grown;
    }
    submissions->all[submissions->len++] =
        (struct submission){.value = value, .place = place};
    return true;
}

bool submissions_of_flags(struct submissions *submissions,
                          const struct options *options, uint32_t random,
                          struct arena *arena)
{
    *submissions = (struct submissions){0};
    json_t *envelope = json_object();
    json_t *body = json_object();
    for (size_t i = 0; i < options->len; i++) {
        for (size_t k = 0; k < PLACES_LEN; k++) {
            if (strcmp(options->values[i].name, places[k].flag) == 0) {
                put_value(places[k].envelope ? envelope : body, places[k].field,
                          places[k].form, options->values[i].value);
            }
        }
    }
    if (!json_object_get(envelope, "request_id")) {
        char id[64];
        id_of_now(id, sizeof id, random);
        json_object_set_new(envelope, "request_id", json_string(id));
    }
    json_object_set_new(envelope, "request", body);
    struct buf text;
    buf_init(&text, 0);
    json_write(&text, envelope);
    json_decref(envelope);
    char *copy = text.failed ? NULL : arena_copy(arena, text.bytes, text.len);
    struct str value = {copy, text.len};
    buf_done(&text);
    return copy && add(submissions, value, 0);
}

/* Files */

static bool read_all(const char *path, struct buf *bytes)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "pixverse-ctl submit: can't open %s: %s\n", path,
                strerror(errno));
        return false;
    }
    char piece[1 << 16];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, file)) > 0) {
        buf_add(bytes, piece, n);
    }
    bool good = !ferror(file) && !bytes->failed;
    if (!standard) {
        fclose(file);
    }
    if (!good) {
        fprintf(stderr, "pixverse-ctl submit: can't read %s\n", path);
    }
    return good;
}

/** An array is taken apart; its elements are written anew. */
static bool add_elements(struct submissions *submissions, const json_t *array,
                         struct arena *arena)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct buf text;
        buf_init(&text, 0);
        json_write(&text, json_array_get(array, i));
        char *copy =
            text.failed ? NULL : arena_copy(arena, text.bytes, text.len);
        struct str value = {copy, text.len};
        buf_done(&text);
        if (!copy || !add(submissions, value, (int)i + 1)) {
            return false;
        }
    }
    return true;
}

static bool take_apart(struct submissions *submissions, struct str bytes,
                       struct arena *arena)
{
    json_error_t error;
    bool no_memory = false;
    json_t *whole = json_read(bytes, &no_memory);
    if (json_is_array(whole)) {
        bool good = add_elements(submissions, whole, arena);
        json_decref(whole);
        return good;
    }
    const bool one = whole != NULL;
    json_decref(whole);
    if (one) {
        return add(submissions, bytes, 1);
    }
    for (int place = 1; bytes.len > 0; place++) {
        json_t *value =
            json_loadb(bytes.at, bytes.len,
                       JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &error);
        const char *line = memchr(bytes.at, '\n', bytes.len);
        /* What is no JSON goes on as its line: the judge says what is wrong. */
        size_t len = value  ? (size_t)error.position
                     : line ? (size_t)(line - bytes.at)
                            : bytes.len;
        json_decref(value);
        if (!add(submissions, str_trim((struct str){bytes.at, len}), place)) {
            return false;
        }
        bytes = str_trim((struct str){bytes.at + len, bytes.len - len});
    }
    return true;
}

bool submissions_of_file(struct submissions *submissions, const char *path,
                         struct arena *arena)
{
    *submissions = (struct submissions){0};
    struct buf bytes;
    buf_init(&bytes, FILE_BYTES_MAX);
    bool good = read_all(path, &bytes);
    if (good) {
        struct str text = str_trim(buf_str(&bytes));
        char *copy = arena_copy(arena, text.at, text.len);
        good = copy &&
               take_apart(submissions, (struct str){copy, text.len}, arena);
        if (good && submissions->len == 0) {
            fprintf(stderr, "pixverse-ctl submit: %s is empty\n", path);
            good = false;
        }
    }
    buf_done(&bytes);
    return good;
}

/* Judging */

static void print_place(const struct submission *submission)
{
    if (submission->place > 0) {
        fprintf(stderr, "request %d: ", submission->place);
    }
}

static void print_details(const struct submission *submission,
                          const struct details *details, const char *what)
{
    for (size_t i = 0; i < details->len; i++) {
        const struct detail *detail = &details->items[i];
        print_place(submission);
        char *copy = strndup(detail->message.at, detail->message.len);
        char *text = text_for_people(copy);
        free(copy);
        fprintf(stderr, "%s%s (%s)\n", what, text ? text : "", detail->code);
        free(text);
    }
}

static void print_details_json(const struct submission *submission,
                               struct arena *arena)
{
    const struct request *request = &submission->request;
    json_t *line = json_object();
    json_object_set_new(line, "place", json_integer(submission->place));
    if (request->reject != REQUEST_NAMED) {
        json_object_set_new(line, "error",
                            json_string(request_reject_name(request->reject)));
    } else {
        struct str details = details_to_json(&request->faults, arena);
        json_object_set_new(
            line, "request_id",
            json_stringn(request->request_id.at, request->request_id.len));
        json_object_set_new(line, "error", json_string("invalid_request"));
        json_object_set_new(line, "details",
                            json_loadb(details.at, details.len, 0, NULL));
    }
    ctl_print_json(line);
    json_decref(line);
}

static const char *reject_words(enum request_reject reject)
{
    static const char *const words[] = {
        [REQUEST_NAMED] = "",
        [REQUEST_NOT_JSON] = "this is no JSON as the service reads it "
                             "(not_json)",
        [REQUEST_TOO_LARGE] = "this is over 1 MiB (too_large)",
        [REQUEST_NO_REQUEST_ID] = "request_id is missing (no_request_id)",
        [REQUEST_BAD_REQUEST_ID] =
            "request_id is not 1 to 128 of A-Z a-z 0-9 . _ -, the first a "
            "letter or digit (bad_request_id)",
        [REQUEST_ID_REUSED] = "",
        [REQUEST_TOO_OLD] = "",
        [REQUEST_BAD_CANCEL] = "this is an order to cancel, which pixverse-ctl "
                               "cancel gives (bad_cancel)",
        [REQUEST_CANCEL_TENANT] = "",
        [REQUEST_CANCEL_LATE] = "",
    };
    assert((size_t)reject < sizeof words / sizeof *words);
    return words[reject];
}

static bool judge(struct submission *submission, bool json, struct arena *arena)
{
    struct request *request = &submission->request;
    if (!request_read(submission->value, arena, request)) {
        fprintf(stderr, "pixverse-ctl: no memory\n");
        return false;
    }
    if (request->cancel) {
        request->reject = REQUEST_BAD_CANCEL; /* it submits nothing */
    }
    if (request->reject == REQUEST_NAMED && request->faults.len == 0) {
        print_details(submission, &request->warnings, "note: ");
        return true;
    }
    if (json) {
        print_details_json(submission, arena);
    }
    if (request->reject != REQUEST_NAMED) {
        print_place(submission);
        fprintf(stderr, "%s\n", reject_words(request->reject));
        return false;
    }
    print_details(submission, &request->faults, "");
    return false;
}

bool submissions_judge(struct submissions *submissions, bool json,
                       struct arena *arena)
{
    bool good = true;
    for (size_t i = 0; i < submissions->len; i++) {
        good = judge(&submissions->all[i], json, arena) && good;
    }
    return good;
}

void submissions_done(struct submissions *submissions)
{
    free(submissions->all);
    *submissions = (struct submissions){0};
}
