#include "row.h"

#include "core/event.h"
#include "core/json.h"
#include "core/step.h"
#include "ctl.h"
#include "table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const times[] = {
    "received", "first_sent", "last_sent", "submitted", "generated",
    "stored",   "settled",    "closed",    "deadline",  "not_before"};

static void dress_word(json_t *row, const char *name, const char *word)
{
    if (word && word[0]) {
        json_object_set_new(row, name, json_string(word));
    } else {
        json_object_del(row, name);
    }
}

static void dress_times(json_t *row, const char *const *names, size_t len)
{
    json_t *all = json_object();
    for (size_t i = 0; i < len; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s_ms", names[i]);
        int64_t time_ms = row_number(row, name);
        char text[25];
        if (time_ms > 0) {
            str_time(time_ms, text);
            json_object_set_new(all, names[i], json_string(text));
        }
        json_object_del(row, name);
    }
    json_object_set_new(row, "times", all);
}

json_t *row_states(const json_t *row)
{
    const json_t *counts = json_object_get(row, "states");
    json_t *states = json_object();
    for (int i = 0; i < TASK_STATES_LEN; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        if (i != CLOSED) {
            json_object_set_new(states, task_state_name((enum task_state)i),
                                json_integer(row_number(counts, number)));
        }
    }
    return states;
}

enum task_state row_state(const json_t *row)
{
    int64_t state = row_number(row, "state");
    return state >= 0 && state < TASK_STATES_LEN ? (enum task_state)state
                                                 : CLOSED;
}

const char *row_state_name(const json_t *row)
{
    int64_t state = row_number(row, "state");
    return state >= 0 && state < TASK_STATES_LEN
               ? task_state_name((enum task_state)state)
               : "unknown";
}

bool row_is_unreadable(const json_t *row)
{
    return json_is_true(json_object_get(row, "unreadable"));
}

static enum failure_kind kind_of(const json_t *row)
{
    int64_t kind = row_number(row, "kind");
    return kind >= 0 && kind < FAILURE_KINDS_LEN ? (enum failure_kind)kind
                                                 : FAILURE_NONE;
}

void row_dress(json_t *row)
{
    int64_t settled_ms = row_number(row, "settled_ms");
    int64_t until_ms = settled_ms ? settled_ms : row_number(row, "now_ms");
    int64_t age_ms = until_ms - row_number(row, "received_ms");
    if (json_object_get(row, "state")) {
        dress_word(row, "state", row_state_name(row));
    }
    dress_word(row, "mode",
               request_mode_name((enum request_mode)row_number(row, "mode")));
    dress_word(row, "kind", failure_kind_name(kind_of(row)));
    dress_times(row, times, sizeof times / sizeof times[0]);
    json_object_del(row, "now_ms");
    json_object_set_new(row, "age_ms", json_integer(age_ms > 0 ? age_ms : 0));
}

void row_dress_reason(json_t *reason)
{
    static const char *const names[] = {"since", "next"};
    if (reason) {
        dress_times(reason, names, 2);
    }
}

json_t *row_event(const json_t *row)
{
    struct event event;
    const char *stored = row_text(row, "event");
    if (!event_open(str_of(stored), &event)) {
        return NULL;
    }
    bool no_memory = false;
    return json_read(event.value, &no_memory);
}

/* Why it isn't done */

/** The hold that stops submissions or, for READY, storing. Those of accounts
 * are there only if they stop this one (ctl_show.sql). */
static const json_t *hold_for(const json_t *row, enum task_state state)
{
    size_t i;
    json_t *hold;
    json_array_foreach(json_object_get(row, "holds"), i, hold)
    {
        const char *reason = row_text(hold, "reason");
        bool storage = strcmp(reason, "storage") == 0;
        bool task = strcmp(reason, "account") == 0;
        if (state == READY ? storage : !task) {
            return hold;
        }
    }
    return NULL;
}

/** The hold of this task alone: nobody alive may replay or poll it. */
static const json_t *own_hold(const json_t *row)
{
    size_t i;
    json_t *hold;
    json_array_foreach(json_object_get(row, "holds"), i, hold)
    {
        if (strcmp(row_text(hold, "reason"), "account") == 0) {
            return hold;
        }
    }
    return NULL;
}

static const char *since(int64_t then_ms, const json_t *row, char *out,
                         size_t out_bytes)
{
    return format_duration(row_number(row, "now_ms") - then_ms, out, out_bytes);
}

/** What many tasks wait for and this one too, the first of these words. */
static const json_t *shared_of(const json_t *row, const char *const *words)
{
    for (; *words; words++) {
        size_t i;
        json_t *shared;
        json_array_foreach(json_object_get(row, "shared"), i, shared)
        {
            if (strcmp(row_text(shared, "word"), *words) == 0) {
                return shared;
            }
        }
    }
    return NULL;
}

static void add_words(char *out, size_t out_bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_words(char *out, size_t out_bytes, const char *format, ...)
{
    size_t len = strlen(out);
    va_list args;
    va_start(args, format);
    vsnprintf(out + len, out_bytes - len, format, args);
    va_end(args);
}

static void add_shared(const json_t *row, const json_t *shared, char *out,
                       size_t out_bytes)
{
    char span[40];
    add_words(out, out_bytes, "%s, for %s: %s", row_text(shared, "word"),
              since(row_number(shared, "since_ms"), row, span, sizeof span),
              row_text(shared, "answer"));
}

/** What its tries came to: the owner's own word, else what it wrote. */
static void add_reason(const json_t *row, char *out, size_t out_bytes)
{
    const json_t *live = json_object_get(row, "live");
    const json_t *reason = json_object_get(live ? live : row, "reason");
    char span[40];
    if (!reason) {
        return;
    }
    int64_t tries = row_number(reason, "tries");
    int64_t wait_ms = row_number(reason, "next_ms") - row_number(row, "now_ms");
    add_words(out, out_bytes, "; %s: %" PRId64 " %s since %s came to nothing",
              row_text(reason, "word"), tries, tries == 1 ? "try" : "tries",
              since(row_number(reason, "since_ms"), row, span, sizeof span));
    if (row_text(reason, "answer")[0]) {
        add_words(out, out_bytes, ", the last: %s", row_text(reason, "answer"));
    }
    if (wait_ms > 0) {
        add_words(out, out_bytes, "; again in %s",
                  format_duration(wait_ms, span, sizeof span));
    }
}

/** By the request that it extends. */
static void why_blocked(const json_t *row, char *out, size_t out_bytes)
{
    char span[40];
    const char *source = row_text(row, "waits_for");
    const json_t *there = json_object_get(row, "source_state");
    const int64_t state = json_integer_value(there);
    if (kind_of(row) != FAILURE_NONE) {
        snprintf(out, out_bytes,
                 "the request that it extends, %s, brought no video of this "
                 "tenant: it fails in a moment",
                 source);
        return;
    }
    snprintf(out, out_bytes,
             "waits for the request that it extends, %s, for %s: that is %s",
             source,
             since(row_number(row, "waits_since_ms"), row, span, sizeof span),
             there && state >= 0 && state < TASK_STATES_LEN
                 ? task_state_name((enum task_state)state)
                 : "not there yet");
}

static void why_queued(const json_t *row, char *out, size_t out_bytes)
{
    static const char *const words[] = {"generations_full", "throttle",
                                        "unreached", "tasks_full", NULL};
    const json_t *hold = hold_for(row, QUEUED);
    const json_t *shared = shared_of(row, words);
    char span[40];
    int64_t wait_ms =
        row_number(row, "not_before_ms") - row_number(row, "now_ms");
    if (own_hold(row)) {
        snprintf(out, out_bytes, "%s", row_text(own_hold(row), "message"));
    } else if (hold) {
        snprintf(out, out_bytes,
                 "submissions are held: %s, for %s (scope %s): %s",
                 row_text(hold, "reason"),
                 since(row_number(hold, "since_ms"), row, span, sizeof span),
                 row_text(hold, "scope"), row_text(hold, "message"));
    } else if (row_number(row, "workers") == 0) {
        snprintf(out, out_bytes, "no worker is alive: start pixverse-worker");
    } else if (wait_ms > 0) {
        snprintf(out, out_bytes,
                 "put off by the provider or the network %" PRId64
                 " times; tried again in %s",
                 row_number(row, "tries"),
                 format_duration(wait_ms, span, sizeof span));
        if (shared) {
            add_words(out, out_bytes, "; ");
            add_shared(row, shared, out, out_bytes);
        }
    } else if (shared) {
        snprintf(out, out_bytes, "waits: ");
        add_shared(row, shared, out, out_bytes);
    } else {
        snprintf(out, out_bytes,
                 "waits for its turn: %" PRId64 " requests before it, %" PRId64
                 " workers",
                 row_number(row, "ahead"), row_number(row, "workers"));
    }
}

static void why_ready(const json_t *row, char *out, size_t out_bytes)
{
    const json_t *hold = hold_for(row, READY);
    if (hold) {
        snprintf(out, out_bytes, "finished upstream; storage is held: %s",
                 row_text(hold, "message"));
    } else {
        static const char *const words[] = {"transfers_full", NULL};
        const json_t *shared = shared_of(row, words);
        const json_t *live = json_object_get(row, "live");
        bool in_line = strncmp(row_text(live, "doing"), "in line", 7) == 0;
        snprintf(out, out_bytes,
                 "finished upstream; its videos are being brought home");
        if (in_line || (shared && !live)) {
            add_words(out, out_bytes, ": it is in line for a slot");
        }
    }
}

static bool is_unreadable_answer(const json_t *row)
{
    const json_t *live = json_object_get(row, "live");
    const json_t *reason = json_object_get(live ? live : row, "reason");
    return strcmp(row_text(reason, "word"), "unreadable") == 0;
}

static void why_sent(const json_t *row, enum task_state state, char *out,
                     size_t out_bytes)
{
    char span[40];
    const char *what = "";
    int64_t then_ms = 0;
    if (state == SUBMITTING && json_is_true(json_object_get(row, "doubt"))) {
        what = is_unreadable_answer(row)
                   ? "a submission was answered in a way that says nothing, "
                     "and it may have been accepted"
                   : "a submission may have been accepted, and no answer names "
                     "its task; that is being resolved";
        then_ms = row_number(row, "first_sent_ms");
    } else if (state == SUBMITTING) {
        what = "it is being submitted";
        then_ms = row_number(row, "last_sent_ms");
    } else if (state == RUNNING) {
        what = "the provider is making it";
        then_ms = row_number(row, "submitted_ms");
    } else if (state == LATE) {
        what = "its failure is told, but payment is open: the video may still "
               "come";
        then_ms = row_number(row, "settled_ms");
    } else {
        what = "settled; its event is on the way to Kafka";
        then_ms = row_number(row, "settled_ms");
    }
    snprintf(out, out_bytes, "%s%s%s", what, then_ms ? ", since " : "",
             then_ms ? since(then_ms, row, span, sizeof span) : "");
}

void row_why(const json_t *row, char *out, size_t out_bytes)
{
    enum task_state state = row_state(row);
    out[0] = '\0';
    if (row_is_unreadable(row)) {
        snprintf(out, out_bytes,
                 "its row can't be read by this program (state %" PRId64
                 ", kind %" PRId64 "): workers leave it as it is, for a later "
                 "program",
                 row_number(row, "state"), row_number(row, "kind"));
        return;
    }
    if (state == CLOSED) {
        return;
    }
    if (state == QUEUED && row_text(row, "waits_for")[0]) {
        why_blocked(row, out, out_bytes);
        return;
    }
    if (state == QUEUED) {
        why_queued(row, out, out_bytes);
        return;
    }
    if (state == READY) {
        why_ready(row, out, out_bytes);
    } else {
        why_sent(row, state, out, out_bytes);
    }
    add_reason(row, out, out_bytes);
    bool alone = json_is_true(json_object_get(row, "worker_dead")) ||
                 !json_object_get(row, "owner");
    size_t len = strlen(out);
    if (own_hold(row) && len < out_bytes) {
        snprintf(out + len, out_bytes - len, "; held: %s",
                 row_text(own_hold(row), "message"));
        return;
    }
    if (alone && len < out_bytes) {
        len += (size_t)snprintf(
            out + len, out_bytes - len, "; its worker is gone, %s",
            row_number(row, "workers") ? "another takes it over"
                                       : "and no other is alive");
    }
    if (row_number(row, "takeovers") > SUSPECT_TAKEOVERS && len < out_bytes) {
        snprintf(out + len, out_bytes - len,
                 "; %" PRId64 " workers in a row died with it: it is tried "
                 "rarely",
                 row_number(row, "takeovers"));
    }
}

void row_why_end(char *why)
{
    size_t at = strlen(why);
    while (at > 0 && ((unsigned char)why[at - 1] & 0xc0) == 0x80) {
        at--;
    }
    if (at > 0 && !str_is_utf8(str_of(why + at - 1))) {
        why[at - 1] = '\0';
    }
}

int rows_print(const struct ctl *ctl, json_t *rows,
               const struct column *columns,
               void (*add_row)(struct table *table, const json_t *row),
               const char *none)
{
    const bool any = json_array_size(rows) > 0;
    struct table *table = any && !ctl->json ? table_new(columns) : NULL;
    size_t i;
    json_t *row;
    if (!rows || (any && !ctl->json && !table)) {
        json_decref(rows);
        return EXIT_FAILED;
    }
    json_array_foreach(rows, i, row)
    {
        if (table) {
            add_row(table, row);
        } else {
            ctl_print_json(row);
        }
    }
    if (table) {
        table_print(table, ctl->width, ctl->colours);
    } else if (!ctl->json) {
        puts(none);
    }
    json_decref(rows);
    return EXIT_DONE;
}
