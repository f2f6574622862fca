#include "cells.h"

#include "core/json.h"
#include "core/step.h"
#include "pruned.h"
#include "row.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option options[] = {
    {"--json", NULL, "one JSON object", false},
    {"--help", NULL, "this text", false},
    {0},
};

static void line(const char *name, const char *text)
{
    if (text && text[0]) {
        char *copy = text_for_people(text);
        printf("  %-16s %s\n", name, copy ? copy : "");
        free(copy);
    }
}

/** A field of any type, as it would stand in JSON but for texts. */
static void field(const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);
    if (json_is_string(value)) {
        line(name, json_string_value(value));
    } else if (json_is_object(value) || json_is_array(value)) {
        struct buf text; /* not jansson's: it can't write big numbers */
        buf_init(&text, 0);
        json_write(&text, value);
        buf_add_char(&text, '\0');
        line(name, text.failed ? "" : text.bytes);
        buf_done(&text);
    } else if (value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT |
                                           JSON_REAL_PRECISION(6));
        line(name, text);
        free(text);
    }
}

static void print_fields(const json_t *row)
{
    static const char *const names[] = {
        "cell",       "tenant",    "mode",          "priority",
        "submission", "attempt",   "earlier",       "sends",
        "doubt",      "late",      "tries",         "takeovers",
        "worker",     "cost",      "credits_cost",  "provider_task_id",
        "account",    "waits_for", "source_task_id"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        field(row, names[i]);
    }
    const char *name;
    json_t *time;
    json_object_foreach(json_object_get(row, "times"), name, time)
    {
        line(name, json_string_value(time));
    }
}

/** "1680x720, 8.042 s, 24 a second, avc1.64001f mp4a.40.2, sound" */
static void print_media(const json_t *media)
{
    struct buf text;
    const char *gap = "";
    size_t i;
    json_t *codec;
    const json_t *duration = json_object_get(media, "duration");
    const json_t *rate = json_object_get(media, "frame_rate");
    const json_t *audio = json_object_get(media, "audio");
    buf_init(&text, 0);
    if (json_object_get(media, "width")) {
        buf_printf(&text, "%" PRId64 "x%" PRId64, row_number(media, "width"),
                   row_number(media, "height"));
        gap = ", ";
    }
    if (duration) {
        buf_printf(&text, "%s%.10g s", gap, json_number_value(duration));
        gap = ", ";
    }
    if (rate) {
        buf_printf(&text, "%s%.10g frames/s", gap, json_number_value(rate));
        gap = ", ";
    }
    json_array_foreach(json_object_get(media, "codecs"), i, codec)
    {
        buf_printf(&text, "%s%s", i ? " " : gap, json_string_value(codec));
        gap = ", ";
    }
    if (audio) {
        buf_printf(&text, "%s%s", gap,
                   json_is_true(audio) ? "sound" : "silent");
    }
    buf_add_char(&text, '\0');
    line("media", text.failed ? "" : text.bytes);
    buf_done(&text);
}

static void print_event(const json_t *event)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(event, "videos"), i, item)
    {
        char size[40];
        char text[1200];
        snprintf(text, sizeof text, "%s (%s)", row_text(item, "uri"),
                 format_bytes(row_number(item, "bytes"), size, sizeof size));
        line("video", text);
        print_media(json_object_get(item, "media"));
    }
    json_array_foreach(json_object_get(event, "warnings"), i, item)
    {
        line("warning", row_text(item, "message"));
    }
    field(event, "billed");
    const json_t *error = json_object_get(event, "error");
    if (error) {
        char text[2600];
        snprintf(text, sizeof text, "%s: %s", row_text(error, "kind"),
                 row_text(error, "message"));
        line("error", text);
        field(error, "http_status");
        field(error, "provider_code");
        field(error, "retry_safe");
    }
    json_array_foreach(json_object_get(error, "details"), i, item)
    {
        line("", row_text(item, "message"));
    }
}

static void print_reason(const json_t *reason)
{
    char text[400];
    if (reason) {
        snprintf(text, sizeof text, "%s, %" PRId64 " tries since %s",
                 row_text(reason, "word"), row_number(reason, "tries"),
                 row_text(json_object_get(reason, "times"), "since"));
        line("reason", text);
        line("last answer", row_text(reason, "answer"));
        line("next try", row_text(json_object_get(reason, "times"), "next"));
    }
}

static void print_row(const json_t *row, const json_t *event, const char *why)
{
    const char *kind = row_text(row, "kind");
    char title[200];
    snprintf(title, sizeof title, "%s: %s%s%s", row_text(row, "request_id"),
             row_text(row, "state"), kind[0] ? ", " : "", kind);
    print_for_people(title);
    line("waits", why);
    print_reason(json_object_get(row, "reason"));
    line("owes", row_text(row, "owes"));
    print_fields(row);
    print_event(event);
    field(row, "metadata");
    if (!event) { /* else it has told them */
        field(row, "warnings");
    }
    field(row, "body");
}

/** A stored text of JSON becomes JSON itself. */
static void parse_field(json_t *row, const char *name)
{
    bool no_memory = false;
    json_t *value = json_read(str_of(row_text(row, name)), &no_memory);
    if (value) {
        json_object_set_new(row, name, value);
    }
}

static void dress(json_t *row, const json_t *event, const char *why)
{
    if (!row_is_unreadable(row)) {
        const char *owes = task_owes_name(task_owes(row_state(row)));
        json_object_set_new(row, "owes", json_string(owes));
    }
    row_dress(row);
    row_dress_reason(json_object_get(row, "reason"));
    parse_field(row, "body");
    parse_field(row, "metadata");
    parse_field(row, "warnings");
    if (json_array_size(json_object_get(row, "warnings")) == 0) {
        json_object_del(row, "warnings");
    }
    if (why[0]) {
        json_object_set_new(row, "why", json_string(why));
    }
    if (event) {
        json_object_set(row, "event", (json_t *)event);
    }
    static const char *const inner[] = {
        "waiting", "ahead", "workers", "holds",       "worker_dead",
        "owner",   "task",  "admin",   "billed_open", "shared"};
    for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++) {
        json_object_del(row, inner[i]);
    }
}

static void print_one(const struct ctl *ctl, json_t *row)
{
    if (pruned_at_ms(row)) {
        pruned_tell(ctl, row);
        return;
    }
    char why[2000];
    row_why(row, why, sizeof why);
    row_why_end(why);
    json_t *event = row_event(row);
    dress(row, event, why);
    if (ctl->json) {
        ctl_print_json(row);
    } else {
        print_row(row, event, why);
    }
    json_decref(event);
}

static int tell_missing(const struct ctl *ctl, const char *request_id)
{
    fprintf(stderr,
            "pixverse-ctl show: no request \"%s\" is stored%s; one that was "
            "just sent appears when a worker has read it from %s "
            "(pixverse-ctl list shows those that are)\n",
            request_id,
            cells_status(ctl, EXIT_DONE) != EXIT_DONE
                ? " in the cells that answered"
                : "",
            ctl->settings.kafka_request_topic);
    return EXIT_FAILED;
}

static int run(struct ctl *ctl, const struct options *given)
{
    if (given->words_len != 1) {
        return ctl_usage("show", "it wants one request id");
    }
    size_t found = 0;
    bool answered = false;
    for (size_t i = 0; i < cells_len(ctl); i++) {
        cells_turn(ctl, i);
        json_t *rows = ctl_rows(ctl, "ctl_show", given->words, 1);
        answered = answered || rows;
        cells_mark(ctl, rows);
        if (json_array_size(rows) > 0) {
            print_one(ctl, json_array_get(rows, 0));
            found++;
        }
        json_decref(rows);
    }
    if (found > 1) {
        fprintf(stderr,
                "pixverse-ctl show: it is stored in %zu cells: its "
                "messages were routed to each\n",
                found);
    }
    if (!answered) {
        return EXIT_FAILED;
    }
    return found ? cells_status(ctl, EXIT_DONE)
                 : tell_missing(ctl, given->words[0]);
}

const struct command command_show = {
    .name = "show",
    .usage = "REQUEST-ID [flags]",
    .help = "everything known of one request, and why it isn't done",
    .text = "Example:\n"
            "  pixverse-ctl show order-1234.clip-1 --json\n\n"
            "With DATABASE_URLS each cell is asked.\n",
    .options = options,
    .run = run,
    .cells = true,
};
