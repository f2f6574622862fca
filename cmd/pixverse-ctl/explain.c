#include "ctl.h"

#include "row.h"

#include <stdio.h>

static const struct option options[] = {
    {"--json", NULL, "one JSON object", false},
    {"--help", NULL, "this text", false},
    {0},
};

static void print_holds(const json_t *row)
{
    size_t i;
    json_t *hold;
    json_array_foreach(json_object_get(row, "holds"), i, hold)
    {
        char since[25];
        char text[1200];
        str_time(row_number(hold, "since_ms"), since);
        snprintf(text, sizeof text, "  held since %s: %s, scope %s: %s", since,
                 row_text(hold, "reason"), row_text(hold, "scope"),
                 row_text(hold, "message"));
        print_for_people(text);
    }
}

static void print_words(const json_t *row, const char *why)
{
    char title[1400];
    const char *state = row_state_name(row);
    snprintf(title, sizeof title, "%s: %s%s%s", row_text(row, "request_id"),
             state, why[0] ? "; " : ", told: nothing is owed", why);
    print_for_people(title);
    if (why[0]) {
        print_holds(row);
    }
}

static void print_json(const json_t *row, const char *why)
{
    json_t *line = json_object();
    json_object_set(line, "request_id", json_object_get(row, "request_id"));
    json_object_set_new(line, "state",
                        json_string(row_state_name(row)));
    json_object_set_new(line, "done", json_boolean(why[0] == '\0'));
    if (why[0]) {
        json_object_set_new(line, "why", json_string(why));
        json_t *holds = json_object_get(row, "holds");
        json_object_set_new(line, "holds",
                            holds ? json_incref(holds) : json_array());
    }
    ctl_print_json(line);
    json_decref(line);
}

static int run(struct ctl *ctl, const struct options *given)
{
    if (given->words_len != 1) {
        return ctl_usage("explain", "it wants one request id");
    }
    json_t *rows = ctl_rows(ctl, "ctl_show", given->words, 1);
    const json_t *row = json_array_get(rows, 0);
    int status = EXIT_FAILED;
    if (row) {
        char why[1000];
        row_why(row, why, sizeof why);
        if (ctl->json) {
            print_json(row, why);
        } else {
            print_words(row, why);
        }
        status = EXIT_DONE;
    } else if (rows) {
        fprintf(stderr,
                "pixverse-ctl explain: no request \"%s\" is stored: it was not "
                "sent to %s, or no worker has read it yet (does one run? "
                "consumption pauses while over BACKLOG_MAX rows wait), or it "
                "was rejected\n",
                given->words[0], ctl->settings.kafka_request_topic);
    }
    json_decref(rows);
    return status;
}

const struct command command_explain = {
    .name = "explain",
    .usage = "REQUEST-ID [flags]",
    .help = "why isn't it done?",
    .text = "Example:\n"
            "  pixverse-ctl explain order-1234.clip-1\n",
    .options = options,
    .run = run,
};
