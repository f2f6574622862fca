#include "filter.h"

#include "core/task.h"
#include "tenant.h"
#include "when.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ERROR_BYTES_MAX 1000

/** "{0,3}" of all words. */
static void add_number(struct buf *numbers, int number)
{
    buf_printf(numbers, "%s%d", numbers->len ? "," : "{", number);
}

/** The word that a row is shown with, without what stands around it. */
static struct str without_dress(struct str word)
{
    static const char *const before[] = {"failed: ", "late: "};
    const struct str late = STR(" (late)");
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        if (str_starts(word, str_of(before[i]))) {
            word.at += strlen(before[i]);
            word.len -= strlen(before[i]);
        }
    }
    if (str_ends(word, late)) {
        word.len -= late.len;
    }
    return word;
}

/** A state, or a word that is shown in its place: what is told is completed, or
 * failed as one of the kinds. false: neither. Pairs are 100 * state + kind. */
static bool add_state(struct filter *filter, struct str word)
{
    enum task_state state;
    enum failure_kind kind;
    word = without_dress(word);
    bool failed = str_eq(word, STR("failed"));
    if (str_eq(word, STR("completed"))) {
        filter->told = true;
        filter->failed = false;
        add_number(&filter->pairs, CLOSED * 100);
        return true;
    }
    if (!failed && task_state_parse(word, &state)) {
        filter->told = filter->told || state == CLOSED;
        filter->failed = false;
        add_number(&filter->states, (int)state);
        return true;
    }
    if (!failed && (!failure_kind_parse(word, &kind) || kind == FAILURE_NONE)) {
        return false;
    }
    filter->told = true;
    for (int k = FAILURE_NONE + 1; k < FAILURE_KINDS_LEN; k++) {
        if (failed || k == (int)kind) {
            add_number(&filter->pairs, FAILED * 100 + k);
            add_number(&filter->pairs, CLOSED * 100 + k);
        }
        if (!failed && k == (int)kind) {
            add_number(&filter->pairs, LATE * 100 + k);
        }
    }
    return true;
}

static void end_list(struct buf *list)
{
    buf_add_text(list, list->len ? "}" : "{}");
}

/** Whether every --state is one; says which is none. */
static bool read_states(struct filter *filter, const char *command,
                        const struct options *given)
{
    bool any = options_has(given, "--state");
    filter->told = !any;
    filter->failed = any;
    for (size_t i = 0; i < given->len; i++) {
        if (strcmp(given->values[i].name, "--state") == 0 &&
            !add_state(filter, str_of(given->values[i].value))) {
            ctl_usage(command,
                      "--state \"%s\" is no state, allowed: " FILTER_STATES
                      ", or a kind of failure such as timed_out",
                      given->values[i].value);
            return false;
        }
    }
    if (any) { /* one word given means that nothing else fits */
        end_list(&filter->states);
        end_list(&filter->pairs);
    }
    return true;
}

static bool refuse_kind(const char *command, const char *value)
{
    struct buf all;
    buf_init(&all, 0);
    for (int k = FAILURE_NONE + 1; k < FAILURE_KINDS_LEN; k++) {
        buf_printf(&all, "%s%s", all.len ? ", " : "",
                   failure_kind_name((enum failure_kind)k));
    }
    ctl_usage(command, "--kind \"%s\" is no kind of failure, allowed: %s",
              value, all.bytes ? all.bytes : "");
    buf_done(&all);
    return false;
}

static bool read_kinds(struct filter *filter, const char *command,
                       const struct options *given)
{
    for (size_t i = 0; i < given->len; i++) {
        enum failure_kind kind;
        const char *value = given->values[i].value;
        if (strcmp(given->values[i].name, "--kind") != 0) {
            continue;
        }
        if (!failure_kind_parse(str_of(value), &kind) || kind == FAILURE_NONE) {
            return refuse_kind(command, value);
        }
        filter->failed = true;
        add_number(&filter->kinds, (int)kind);
    }
    if (filter->kinds.len) {
        end_list(&filter->kinds);
    }
    return true;
}

/** Text to find anywhere, as ILIKE wants it. */
static bool read_error(struct filter *filter, const char *command,
                       const char *text)
{
    if (!text) {
        return true;
    }
    if (!text[strspn(text, " \t\r\n")] || strlen(text) > ERROR_BYTES_MAX) {
        ctl_usage(command,
                  "--error is %s, allowed: 1..%d bytes of the text "
                  "that an error has",
                  strlen(text) > ERROR_BYTES_MAX ? "too long" : "blank",
                  ERROR_BYTES_MAX);
        return false;
    }
    buf_add_char(&filter->error, '%');
    for (; *text; text++) {
        if (strchr("%_\\", *text)) {
            buf_add_char(&filter->error, '\\');
        }
        buf_add_char(&filter->error, *text);
    }
    buf_add_text(&filter->error, "%");
    return true;
}

static bool read_names(struct filter *filter, const char *command,
                       const struct options *given)
{
    filter->tenant = options_get(given, "--tenant");
    filter->account = options_get(given, "--account");
    if (filter->tenant && !tenant_is_name(filter->tenant)) {
        ctl_usage(command,
                  "--tenant \"%s\" is no tenant, allowed: " TENANT_NAME_ALLOWED,
                  filter->tenant);
        return false;
    }
    if (filter->account &&
        (!filter->account[0] || strlen(filter->account) >= ACCOUNT_BYTES)) {
        ctl_usage(command,
                  "--account \"%s\" is none, allowed: what pixverse-ctl show "
                  "says after account, at most %d bytes",
                  filter->account, ACCOUNT_BYTES - 1);
        return false;
    }
    return true;
}

static bool read_time(const char *command, const struct options *given,
                      const char *name, int64_t *time_ms)
{
    const char *text = options_get(given, name);
    if (text && !when_read_ago(text, time_ms)) {
        ctl_usage(command, "%s is \"%s\", allowed: " WHEN_AGO_ALLOWED, name,
                  text);
        return false;
    }
    return true;
}

static bool read_times(struct filter *filter, const char *command,
                       const struct options *given)
{
    int64_t since_ms = 0;
    int64_t before_ms = INT64_MAX;
    if (!read_time(command, given, "--since", &since_ms) ||
        !read_time(command, given, "--older-than", &before_ms)) {
        return false;
    }
    if (since_ms >= before_ms) {
        ctl_usage(command,
                  "no request is both --since %s and --older-than %s: the "
                  "latter is the nearer to now, or the later time",
                  options_get(given, "--since"),
                  options_get(given, "--older-than"));
        return false;
    }
    snprintf(filter->since, sizeof filter->since, "%" PRId64, since_ms);
    snprintf(filter->before, sizeof filter->before, "%" PRId64, before_ms);
    return true;
}

bool filter_read(struct filter *filter, const char *command,
                 const struct options *given)
{
    static const struct option words[] = {FILTER_OPTIONS, {0}};
    *filter = (struct filter){0};
    buf_init(&filter->states, 0);
    buf_init(&filter->pairs, 0);
    buf_init(&filter->kinds, 0);
    buf_init(&filter->error, 0);
    for (const struct option *word = words; word->name; word++) {
        filter->given = filter->given || options_has(given, word->name);
    }
    return read_states(filter, command, given) &&
           read_kinds(filter, command, given) &&
           read_error(filter, command, options_get(given, "--error")) &&
           read_names(filter, command, given) &&
           read_times(filter, command, given);
}

static const char *text_or_null(const struct buf *buf)
{
    return buf->len ? buf->bytes : NULL;
}

void filter_params(const struct filter *filter, const char *below,
                   const char *limit, const char *params[FILTER_PARAMS_LEN])
{
    assert(below && limit);
    const char *const all[FILTER_PARAMS_LEN] = {
        text_or_null(&filter->states),
        text_or_null(&filter->pairs),
        text_or_null(&filter->kinds),
        text_or_null(&filter->error),
        filter->tenant,
        filter->account,
        filter->since,
        filter->before,
        below,
        limit,
        filter->told ? "true" : "false",
        filter->failed ? "true" : "false",
    };
    memcpy(params, all, sizeof all);
}

void filter_done(struct filter *filter)
{
    buf_done(&filter->states);
    buf_done(&filter->pairs);
    buf_done(&filter->kinds);
    buf_done(&filter->error);
}

int64_t filter_count(struct ctl *ctl, const struct filter *filter, int64_t most)
{
    char limit[24];
    const char *params[FILTER_PARAMS_LEN];
    snprintf(limit, sizeof limit, "%" PRId64, most);
    filter_params(filter, FILTER_ALL, limit, params);
    json_t *rows = ctl_rows(ctl, "ctl_list_count", params, FILTER_PARAMS_LEN);
    int64_t fit = rows ? row_number(json_array_get(rows, 0), "fit") : -1;
    json_decref(rows);
    return fit;
}
