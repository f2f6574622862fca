#include "ctl.h"

#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_BYTES_MAX 300 /* workers keep 399 */

/* clang-format off */
static const struct option options[] = {
    {"--json", NULL, "one JSON object", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/** It stands on a line of /readyz, and in logs. */
static bool is_reason(const char *text)
{
    size_t len = strlen(text);
    for (const char *at = text; *at; at++) {
        const unsigned char c = (unsigned char)*at;
        const unsigned char next = (unsigned char)at[1];
        /* C1 controls come as C2 80..9F: terminals obey them, too. */
        if (c < ' ' || c == 0x7f ||
            (c == 0xc2 && next >= 0x80 && next < 0xa0)) {
            return false;
        }
    }
    return text[strspn(text, " ")] && len <= REASON_BYTES_MAX;
}

static int say_pause(const struct ctl *ctl, const json_t *row)
{
    char since[25];
    int64_t workers = row_number(row, "workers");
    str_time(row_number(row, "since_ms"), since);
    if (ctl->json) {
        json_t *line = json_pack("{s:b, s:s, s:s, s:I}", "paused", 1, "since",
                                 since, "reason", row_text(row, "reason"),
                                 "workers", (json_int_t)workers);
        ctl_print_json(line);
        json_decref(line);
        return EXIT_DONE;
    }
    if (json_object_get(row, "before")) {
        /* What is stored may come from elsewhere. */
        char *before = text_for_people(row_text(row, "before"));
        char *reason = text_for_people(row_text(row, "reason"));
        printf("it was paused since %s: \"%s\"; the reason is now \"%s\"\n",
               since, before ? before : "", reason ? reason : "");
        free(before);
        free(reason);
    } else {
        printf("paused: %" PRId64 " worker%s submit nothing more, once they "
               "have heard of it (a second); what is accepted is polled, "
               "stored and told; pixverse-ctl resume goes on\n",
               workers, workers == 1 ? "" : "s");
    }
    return EXIT_DONE;
}

static int run_pause(struct ctl *ctl, const struct options *given)
{
    if (given->words_len != 1 || !is_reason(given->words[0])) {
        return ctl_usage("pause",
                         "it wants a reason as one word in quotes, 1..%d bytes "
                         "without line breaks: pixverse-ctl pause \"...\"",
                         REASON_BYTES_MAX);
    }
    json_t *rows = ctl_rows(ctl, "ctl_pause", given->words, 1);
    int status = rows ? say_pause(ctl, json_array_get(rows, 0)) : EXIT_FAILED;
    json_decref(rows);
    return status;
}

static int say_resume(const struct ctl *ctl, json_t *row)
{
    char span[40];
    bool paused = json_object_get(row, "since_ms") != NULL;
    int64_t paused_ms = row_number(row, "now_ms") - row_number(row, "since_ms");
    json_t *holds = json_object_get(row, "holds");
    if (ctl->json) {
        json_t *line =
            json_pack("{s:b, s:b, s:I, s:o}", "paused", 0, "resumed", paused,
                      "workers", (json_int_t)row_number(row, "workers"),
                      "holds", holds ? json_incref(holds) : json_array());
        ctl_print_json(line);
        json_decref(line);
        return EXIT_DONE;
    }
    if (paused) {
        char *reason = text_for_people(row_text(row, "reason"));
        printf("resumed after %s: \"%s\"\n",
               format_duration(paused_ms, span, sizeof span),
               reason ? reason : "");
        free(reason);
    } else {
        puts("it was not paused");
    }
    size_t i;
    json_t *hold;
    json_array_foreach(holds, i, hold)
    {
        char text[800];
        snprintf(text, sizeof text, "  still held by %s (%s): %s",
                 row_text(hold, "reason"), row_text(hold, "scope"),
                 row_text(hold, "message"));
        print_for_people(text);
    }
    return EXIT_DONE;
}

static int run_resume(struct ctl *ctl, const struct options *given)
{
    if (given->words_len != 0) {
        return ctl_usage("resume", "\"%s\" is one word too many",
                         given->words[0]);
    }
    json_t *rows = ctl_rows(ctl, "ctl_resume", NULL, 0);
    int status = rows ? say_resume(ctl, json_array_get(rows, 0)) : EXIT_FAILED;
    json_decref(rows);
    return status;
}

const struct command command_pause = {
    .name = "pause",
    .usage = "REASON [flags]",
    .help = "submit nothing more, for a stated reason",
    .text = "The whole fleet stops buying under the hold operator, replays "
            "included, until resume.\nRequests are taken and wait; what was "
            "accepted is polled, stored and told. Everybody\nwho asks why "
            "(explain, watch, /readyz, metrics) is told the reason. Once more "
            "changes\nthe reason.\n\n"
            "Examples:\n"
            "  pixverse-ctl pause \"budget of November is used up; Kim, "
            "chat room ops\"\n",
    .options = options,
    .run = run_pause,
};

const struct command command_resume = {
    .name = "resume",
    .usage = "[flags]",
    .help = "end a pause",
    .text = "Submissions go on within a second. Other holds stay, and are "
            "named. Where nothing is\npaused it says so, and that is no "
            "fault.\n\n"
            "Examples:\n"
            "  pixverse-ctl resume\n",
    .options = options,
    .run = run_resume,
};
