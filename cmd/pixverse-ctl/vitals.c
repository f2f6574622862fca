#include "vitals.h"

#include "core/task.h"
#include "edge/store.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SILENT_MS 30000 /* three rows that did not come */

static const char *const rates[VITALS_COUNTS_LEN] = {
    [VITALS_RECEIVED] = "received", [VITALS_ACCEPTED] = "accepted",
    [VITALS_POLLS] = "polls",       [VITALS_COMPLETED] = "completed",
    [VITALS_FAILED] = "failed",
};

static int64_t number_at(const json_t *numbers, size_t i)
{
    return json_integer_value(json_array_get(numbers, i));
}

static void name_states(json_t *row)
{
    const json_t *numbers = json_object_get(row, "states");
    json_t *states = json_object();
    for (size_t i = 0; i < TASK_STATES_LEN && i != CLOSED; i++) {
        json_object_set_new(states, task_state_name((enum task_state)i),
                            json_integer(number_at(numbers, i)));
    }
    json_object_set_new(row, "states", states);
}

static void name_slots(json_t *row)
{
    static const char *const names[] = {"submits", "submits_max", "transfers",
                                        "transfers_max"};
    const json_t *numbers = json_object_get(row, "slots");
    json_t *slots = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_object_set_new(slots, names[i],
                            json_integer(number_at(numbers, i)));
    }
    json_object_set_new(row, "slots", slots);
}

/** A minute; none from the first row, which has no span. */
static void name_rates(json_t *row)
{
    const json_t *numbers = json_object_get(row, "counts");
    int64_t span_ms = row_number(row, "span_ms");
    json_t *a_minute = json_object();
    for (size_t i = 0; span_ms > 0 && i < VITALS_COUNTS_LEN; i++) {
        double rate = (double)number_at(numbers, i) * 60000 / (double)span_ms;
        json_object_set_new(a_minute, rates[i], json_real(rate));
    }
    json_object_set_new(row, "a_minute", a_minute);
    json_object_del(row, "counts");
    json_object_del(row, "span_ms");
}

/** The word that people look for first. */
static const char *word_of(const json_t *row)
{
    bool said = json_object_get(row, "said_ms") != NULL;
    if (!said) {
        return "starts";
    }
    if (row_number(row, "now_ms") - row_number(row, "said_ms") > SILENT_MS) {
        return "silent";
    }
    if (json_is_true(json_object_get(row, "draining"))) {
        return "draining";
    }
    if (json_object_get(row, "held")) {
        return "held";
    }
    return json_is_true(json_object_get(row, "intake_paused")) ? "intake paused"
                                                               : "works";
}

static void set_time(json_t *row, const char *from, const char *to)
{
    char text[25];
    if (json_object_get(row, from)) {
        str_time(row_number(row, from), text);
        json_object_set_new(row, to, json_string(text));
        json_object_del(row, from);
    }
}

static void dress(json_t *row)
{
    json_object_set_new(row, "is", json_string(word_of(row)));
    if (json_object_get(row, "said_ms")) {
        json_object_set_new(row, "said_ago_ms",
                            json_integer(row_number(row, "now_ms") -
                                         row_number(row, "said_ms")));
        name_states(row);
        name_slots(row);
        name_rates(row);
    }
    json_object_set_new(
        row, "up_ms",
        json_integer(row_number(row, "now_ms") - row_number(row, "since_ms")));
    set_time(row, "since_ms", "since");
    set_time(row, "said_ms", "said");
    json_object_del(row, "now_ms");
}

json_t *vitals_read(struct ctl *ctl)
{
    json_t *rows = ctl_rows(ctl, "ctl_workers", NULL, 0);
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        dress(row);
    }
    return rows;
}

double vitals_rate(const json_t *workers, const char *name)
{
    double sum = 0;
    size_t i;
    const json_t *row;
    json_array_foreach(workers, i, row)
    {
        sum += json_number_value(
            json_object_get(json_object_get(row, "a_minute"), name));
    }
    return sum;
}

/** "3/32"; "" before it said so. */
static void slot_text(const json_t *row, const char *used, const char *most,
                      char out[48])
{
    const json_t *slots = json_object_get(row, "slots");
    out[0] = '\0';
    if (slots) {
        snprintf(out, 48, "%" PRId64 "/%" PRId64, row_number(slots, used),
                 row_number(slots, most));
    }
}

static void rate_text(const json_t *row, const char *name, char out[32])
{
    const json_t *a_minute = json_object_get(row, "a_minute");
    const json_t *rate = json_object_get(a_minute, name);
    out[0] = '\0';
    if (rate) {
        snprintf(out, 32, "%.4g", json_number_value(rate));
    }
}

static void add_row(struct table *table, const json_t *row)
{
    char up[40];
    char said[60] = "";
    char late[40] = "";
    char tasks[48];
    char submits[48];
    char transfers[48];
    char a_minute[VITALS_COUNTS_LEN][32];
    char span[40];
    const char *word = row_text(row, "is");
    bool works = strcmp(word, "works") == 0;
    format_duration(row_number(row, "up_ms"), up, sizeof up);
    if (json_object_get(row, "said")) {
        snprintf(
            said, sizeof said, "%s ago",
            format_duration(row_number(row, "said_ago_ms"), span, sizeof span));
        snprintf(late, sizeof late, "%" PRId64 " ms",
                 row_number(row, "late_ms"));
    }
    snprintf(tasks, sizeof tasks, "%" PRId64 "/%" PRId64,
             row_number(row, "tasks"), row_number(row, "tasks_max"));
    slot_text(row, "submits", "submits_max", submits);
    slot_text(row, "transfers", "transfers_max", transfers);
    for (size_t i = 0; i < VITALS_COUNTS_LEN; i++) {
        rate_text(row, rates[i], a_minute[i]);
    }
    const char *const cells[] = {row_text(row, "name"),
                                 word,
                                 row_text(row, "version"),
                                 up,
                                 tasks,
                                 submits,
                                 transfers,
                                 a_minute[VITALS_RECEIVED],
                                 a_minute[VITALS_ACCEPTED],
                                 a_minute[VITALS_POLLS],
                                 a_minute[VITALS_COMPLETED],
                                 a_minute[VITALS_FAILED],
                                 late,
                                 said,
                                 row_text(row, "cell")};
    table_add(table, cells, 1, works ? HUE_GOOD : HUE_BAD);
}

void vitals_print(const struct ctl *ctl, const json_t *workers)
{
    const struct column columns[] = {
        {"WORKER", COLUMN_WHOLE},
        {"IS", COLUMN_WHOLE},
        {"VERSION", COLUMN_CUT},
        {"UP", COLUMN_CUT},
        {"TASKS", COLUMN_WHOLE},
        {"SUBMITS", COLUMN_CUT},
        {"TRANSFERS", COLUMN_CUT},
        {"RECEIVED/MIN", COLUMN_CUT},
        {"ACCEPTED/MIN", COLUMN_CUT},
        {"POLLS/MIN", COLUMN_CUT},
        {"COMPLETED/MIN", COLUMN_CUT},
        {"FAILED/MIN", COLUMN_CUT},
        {"LATE", COLUMN_CUT},
        {"SAID", COLUMN_CUT},
        {ctl->cells_len ? "CELL" : NULL, COLUMN_WHOLE},
        {0}};
    struct table *table = table_new(columns);
    size_t i;
    const json_t *row;
    json_array_foreach(workers, i, row)
    {
        add_row(table, row);
    }
    table_print(table, ctl->width, ctl->colours);
}
