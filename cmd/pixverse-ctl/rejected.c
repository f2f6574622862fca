#include "confirm.h"
#include "rejected_read.h"
#include "rejected_replay.h"
#include "table.h"
#include "when.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES_MAX 10000
#define VALUE_BYTES_MAX 65536 /* of a value that is shown */

#define REJECTED_ERRORS                                                        \
    "not_json, too_large, no_request_id, bad_request_id, request_id_reused, "  \
    "too_old, bad_cancel, cancel_other_tenant, cancel_too_late"

/* clang-format off */
static const struct option options[] = {
    {"--error", "WORD", REJECTED_ERRORS, false},
    {"--since", "TIME", "rejected within 90s, 30m, 2h or 7d, or since 2026-11-22[T06:00:00]; default 1d", false},
    {"--limit", "N", "list: at most so many, the newest first; default 50", false},
    {"--look", "N", "look at so many messages at most, the newest; default 10000", false},
    CONFIRM_OPTIONS,
    {"--again", NULL, "replay: also what was replayed before", false},
    {"--pay-again", NULL, "replay: also what may have been bought (too_old)", false},
    {"--json", NULL, "one JSON object a line", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/* ---- list ---- */

static void add_row(struct table *table, const json_t *about)
{
    char source[200];
    char bytes[40];
    snprintf(source, sizeof source, "%s:%s",
             row_text(about, "source_partition"),
             row_text(about, "source_offset"));
    snprintf(bytes, sizeof bytes, "%" PRId64, row_number(about, "bytes"));
    const char *const cells[] = {
        row_text(about, "id"),
        row_text(about, "rejected"),
        row_text(about, "error"),
        row_text(about, "key"),
        source,
        bytes,
        json_is_true(json_object_get(about, "replayed")) ? "yes" : "",
        row_text(about, "error_detail")};
    table_add(table, cells, 2, HUE_BAD);
}

static int list(const struct ctl *ctl, const struct rejecteds *found,
                size_t limit)
{
    static const struct column columns[] = {{"REJECTED", COLUMN_WHOLE},
                                            {"WHEN", COLUMN_CUT},
                                            {"ERROR", COLUMN_CUT},
                                            {"KEY", COLUMN_WHOLE},
                                            {"SOURCE", COLUMN_CUT},
                                            {"BYTES", COLUMN_CUT},
                                            {"REPLAYED", COLUMN_CUT},
                                            {"DETAIL", COLUMN_CUT},
                                            {0}};
    struct table *table = ctl->json ? NULL : table_new(columns);
    size_t shown = found->len < limit ? found->len : limit;
    for (size_t i = 0; i < shown; i++) {
        const json_t *about = found->all[found->len - 1 - i].about;
        if (ctl->json) {
            ctl_print_json(about);
        } else {
            add_row(table, about);
        }
    }
    if (!ctl->json) {
        if (shown) {
            table_print(table, ctl->width, ctl->colours);
            printf("%zu of %zu\n", shown, found->len);
        } else {
            table_print(table, 0, false);
            printf("no message fits (of the last day, unless --since says "
                   "otherwise)\n");
        }
    }
    if (found->older) {
        fprintf(stderr,
                "pixverse-ctl rejected: %" PRId64 " older messages were not "
                "looked at (--look)\n",
                found->older);
    }
    return EXIT_DONE;
}

/* ---- show ---- */

/** A URL's query may be a signature, and its user info a password. */
static void add_masked(struct buf *out, struct str text)
{
    bool in_url = false;
    for (size_t i = 0; i < text.len; i++) {
        struct str rest = {text.at + i, text.len - i};
        if (str_starts(rest, STR("://"))) {
            in_url = true;
        } else if (strchr(" \"'<>\\\t\r\n", text.at[i])) {
            in_url = false;
        }
        if (in_url && text.at[i] == '?') {
            buf_add_text(out, "?…");
            while (i + 1 < text.len &&
                   !strchr(" \"'<>\\\t\r\n", text.at[i + 1])) {
                i++;
            }
            in_url = false;
            continue;
        }
        buf_add_char(out, text.at[i]);
    }
}

static void show_value(json_t *about, struct str value)
{
    struct buf out;
    buf_init(&out, 0);
    struct str cut = {value.at, value.len < VALUE_BYTES_MAX ? value.len
                                                            : VALUE_BYTES_MAX};
    bool text = str_is_utf8(value);
    if (text && value.len) {
        cut = str_cut_points(value, VALUE_BYTES_MAX);
        add_masked(&out, cut);
    } else if (value.len) {
        char *hex = malloc(2 * cut.len + 1);
        if (hex) {
            str_hex((const unsigned char *)cut.at, cut.len, hex);
            buf_add_text(&out, hex);
        }
        free(hex);
    }
    if (value.at) {
        json_object_set_new(about, text ? "value" : "value_hex",
                            json_stringn(out.bytes ? out.bytes : "", out.len));
    }
    if (cut.len < value.len) {
        json_object_set_new(about, "value_cut", json_true());
    }
    buf_done(&out);
}

static int show(const struct ctl *ctl, const struct rejecteds *found)
{
    for (size_t i = 0; i < found->len; i++) {
        const struct outgoing *original = &found->all[i].original;
        json_t *about = found->all[i].about;
        json_t *headers = json_object();
        for (size_t h = 0; h < original->headers_len; h++) {
            char name[200];
            struct str value = original->headers[h].value;
            snprintf(name, sizeof name, "%.*s",
                     (int)original->headers[h].name.len,
                     original->headers[h].name.at);
            json_object_set_new(headers, name,
                                value.at && str_is_utf8(value)
                                    ? json_stringn(value.at, value.len)
                                    : json_null());
        }
        json_object_set_new(about, "headers", headers);
        show_value(about, original->value);
        if (ctl->json) {
            ctl_print_json(about);
            continue;
        }
        const char *name;
        const json_t *field;
        json_object_foreach(about, name, field)
        {
            char *dumped = json_is_string(field)
                               ? NULL
                               : json_dumps(field, JSON_ENCODE_ANY);
            /* Of the controls jansson escapes those of ASCII only. */
            char *text =
                text_for_people(dumped ? dumped : json_string_value(field));
            printf("  %-17s %s\n", name, text ? text : "");
            free(text);
            free(dumped);
        }
    }
    return EXIT_DONE;
}

/* ---- what is asked for ---- */

/** "3:17". */
static bool read_id(const char *text, struct rejected_ask *ask)
{
    const char *colon = strchr(text, ':');
    int64_t partition = 0;
    bool good = colon &&
                str_to_i64((struct str){text, (size_t)(colon - text)}, 0,
                           INT32_MAX, &partition) &&
                str_to_i64(str_of(colon + 1), 0, INT64_MAX - 1, &ask->offset);
    ask->partition = (int32_t)partition;
    ask->since_ms = 0;
    ask->messages_max = 1;
    return good;
}

/** Those that are named, one after the other, or all that fit. */
static bool read_asked(struct ctl *ctl, const struct options *given,
                       const struct rejected_ask *ask, struct rejecteds *found,
                       int *status)
{
    *status = EXIT_FAILED;
    if (given->words_len == 1) {
        return rejecteds_read(ctl, found, ask);
    }
    for (size_t i = 1; i < given->words_len; i++) {
        struct rejected_ask one;
        if (!read_id(given->words[i], &one)) {
            *status = ctl_usage("rejected",
                                "\"%s\" names no message, allowed: "
                                "PARTITION:OFFSET of the rejected topic, as "
                                "list shows it",
                                given->words[i]);
            return false;
        }
        if (!rejecteds_read(ctl, found, &one)) {
            return false;
        }
    }
    return true;
}

/** Whether it is one of the words of REJECTED_ERRORS. */
static bool is_reason(const char *error)
{
    static const char all[] = ", " REJECTED_ERRORS ",";
    char word[40];
    snprintf(word, sizeof word, ", %.32s,", error);
    return error[0] && !strpbrk(error, ", ") && strstr(all, word);
}

static bool read_numbers(const struct options *given, struct rejected_ask *ask,
                         int64_t *limit)
{
    const char *since = options_get(given, "--since");
    const char *look = options_get(given, "--look");
    const char *most = options_get(given, "--limit");
    const char *error = options_get(given, "--error");
    *ask = (struct rejected_ask){
        .messages_max = MESSAGES_MAX, .partition = -1, .offset = -1};
    *limit = 50;
    if (!when_read_ago(since ? since : "1d", &ask->since_ms)) {
        ctl_usage("rejected", "--since is \"%s\", allowed: " WHEN_AGO_ALLOWED,
                  since);
        return false;
    }
    if (look && !str_to_i64(str_of(look), 1, 10000000, &ask->messages_max)) {
        ctl_usage("rejected", "--look is \"%s\", allowed: 1..10000000", look);
        return false;
    }
    if (most && !str_to_i64(str_of(most), 1, 10000000, limit)) {
        ctl_usage("rejected", "--limit is \"%s\", allowed: 1..10000000", most);
        return false;
    }
    if (error && !is_reason(error)) {
        ctl_usage("rejected",
                  "--error \"%s\" is no reason, allowed: " REJECTED_ERRORS,
                  error);
        return false;
    }
    return true;
}

static int run(struct ctl *ctl, const struct options *given)
{
    static const char *const verbs[] = {"list", "show", "replay"};
    enum { LIST, SHOW, REPLAY, NONE } verb = LIST;
    struct rejected_ask ask;
    int64_t limit;
    const char *word = given->words_len ? given->words[0] : "";
    while (verb < NONE && strcmp(word, verbs[verb]) != 0) {
        verb++;
    }
    if (verb == NONE) {
        return ctl_usage("rejected",
                         "%s%s%sallowed: list, show PARTITION:OFFSET, or "
                         "replay [PARTITION:OFFSET...]",
                         word[0] ? "\"" : "", word,
                         word[0] ? "\" is none of its orders, " : "");
    }
    if ((verb == LIST) != (given->words_len == 1) &&
        (verb != REPLAY || given->words_len == 0)) {
        return ctl_usage("rejected", verb == LIST
                                         ? "list takes flags only"
                                         : "show wants PARTITION:OFFSET, as "
                                           "list shows it");
    }
    if (!read_numbers(given, &ask, &limit)) {
        return EXIT_USAGE;
    }
    struct rejecteds found;
    int status;
    rejecteds_init(&found);
    found.error = options_get(given, "--error");
    found.whole = verb != LIST;
    if (read_asked(ctl, given, &ask, &found, &status)) {
        rejecteds_sort(&found);
        status = verb == LIST   ? list(ctl, &found, (size_t)limit)
                 : verb == SHOW ? show(ctl, &found)
                                : rejecteds_replay(ctl, given, &found);
    }
    rejecteds_done(&found);
    return status;
}

const struct command command_rejected = {
    .name = "rejected",
    .usage = "list|show|replay [PARTITION:OFFSET...] [flags]",
    .help = "messages that named no request: look at them, send them again",
    .text =
        "They stand on the rejected topic alone, as long as its retention keeps "
        "them, and are\nnamed by partition and offset there. list and replay "
        "look at those since --since.\nreplay produces the original message, "
        "key and headers, to the request topic, once:\nit is judged afresh, "
        "and what is still at fault is rejected again. It asks first; a\n"
        "script says --yes.\n\n"
        "Examples:\n"
        "  pixverse-ctl rejected list --error not_json --since 2h\n"
        "  pixverse-ctl rejected show 3:17\n"
        "  pixverse-ctl rejected replay 3:17\n"
        "  pixverse-ctl rejected replay --error bad_request_id --since 1h "
        "--yes\n",
    .options = options,
    .run = run,
};
