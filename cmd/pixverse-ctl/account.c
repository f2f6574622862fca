#include "account.h"

#include "base/settings_check.h"
#include "core/apimart.h"
#include "row.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct option options[] = {
    {"--url", "URL", "move: where the account is from now on", false},
    {"--json", NULL, "one JSON object an account", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

#define URL_BYTES 2048
#define HOLDS_BYTES 80

static const char *holds_of(const json_t *row, char *out)
{
    size_t n = 0;
    size_t i;
    const json_t *hold;
    out[0] = '\0';
    json_array_foreach(json_object_get(row, "holds"), i, hold)
    {
        n += (size_t)snprintf(out + n, HOLDS_BYTES - n, "%s%s", n ? " " : "",
                              json_string_value(hold));
        n = n < HOLDS_BYTES ? n : HOLDS_BYTES - 1;
    }
    return out;
}

/** Where an account takes less than is set. */
static void limit_of(const json_t *row, char *out, size_t out_bytes)
{
    const json_t *limit = json_object_get(row, "limit");
    out[0] = '\0';
    if (limit) {
        snprintf(out, out_bytes, "%" PRId64 " of %" PRId64,
                 row_number(limit, "learnt"), row_number(limit, "slots"));
    }
}

static void add_row(struct table *table, const json_t *row)
{
    char slots[48];
    char tasks[24];
    char workers[24];
    char keys[24];
    char holds[HOLDS_BYTES];
    snprintf(tasks, sizeof tasks, "%" PRId64, row_number(row, "tasks"));
    snprintf(workers, sizeof workers, "%" PRId64, row_number(row, "workers"));
    snprintf(keys, sizeof keys, "%" PRId64, row_number(row, "keys"));
    limit_of(row, slots, sizeof slots);
    const char *cells[] = {row_text(row, "account"),
                           workers,
                           tasks,
                           slots,
                           keys,
                           holds_of(row, holds),
                           row_text(row, "url")};
    table_add(table, cells, 0, HUE_PLAIN);
}

static int list(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"ACCOUNT", COLUMN_WHOLE}, {"WORKERS", COLUMN_CUT},
        {"TASKS", COLUMN_CUT},     {"LEARNT", COLUMN_CUT},
        {"KEYS", COLUMN_CUT},      {"HOLDS", COLUMN_CUT},
        {"URL", COLUMN_WHOLE},     {0},
    };
    return rows_print(ctl, ctl_rows(ctl, "ctl_accounts", NULL, 0), columns,
                      add_row, "no worker ever had an account here");
}

void account_why(struct ctl *ctl, const json_t *row, char *why,
                 size_t why_bytes)
{
    /* A worker's own word says it already. */
    if (row_state(row) != QUEUED || row_text(row, "waits_for")[0] ||
        strstr(why, "learnt limit")) {
        return;
    }
    json_t *rows = ctl_rows(ctl, "ctl_limits", NULL, 0);
    size_t i;
    const json_t *limit;
    json_array_foreach(rows, i, limit)
    {
        const size_t len = strlen(why);
        if (len < why_bytes) {
            snprintf(why + len, why_bytes - len,
                     "; account %s: learnt limit %" PRId64 " of %" PRId64
                     " slots, since %s",
                     row_text(limit, "account"), row_number(limit, "learnt"),
                     row_number(limit, "slots"), row_text(limit, "since"));
        }
    }
    json_decref(rows);
}

static int move(struct ctl *ctl, const char *name, const char *url)
{
    char normal[URL_BYTES];
    const struct setting_verdict verdict =
        setting_check(FORM_BASE_URL, str_of(url));
    if (verdict.fault) {
        return ctl_usage("account", "--url %s, allowed: %s", verdict.fault,
                         verdict.allowed);
    }
    apimart_url(str_of(url), normal, sizeof normal);
    const char *const params[] = {name, normal};
    json_t *rows = ctl_rows(ctl, "ctl_account_move", params, 2);
    const json_t *row = json_array_get(rows, 0);
    if (rows && !row) {
        fprintf(stderr,
                "pixverse-ctl account: no worker ever had an account \"%s\" "
                "(pixverse-ctl account list)\n",
                name);
    }
    if (row && ctl->json) {
        ctl_print_json(row);
    } else if (row) {
        printf("%s is at %s from now on, where it was at %s.\n", name,
               row_text(row, "url"), row_text(row, "was"));
        if (row_number(row, "tasks") > 0) {
            printf("%" PRId64 " tasks under way were sent there before: they "
                   "wait for a worker with that URL.\n",
                   row_number(row, "tasks"));
        }
    }
    const int status = row ? EXIT_DONE : EXIT_FAILED;
    json_decref(rows);
    return status;
}

static int run(struct ctl *ctl, const struct options *given)
{
    const char *url = options_get(given, "--url");
    const char *word = given->words_len ? given->words[0] : "";
    if (strcmp(word, "list") == 0 && given->words_len == 1 && !url) {
        return list(ctl);
    }
    if (strcmp(word, "move") == 0 && given->words_len == 2 && url) {
        return move(ctl, given->words[1], url);
    }
    return ctl_usage("account", "allowed: list, or move NAME --url URL");
}

const struct command command_account = {
    .name = "account",
    .usage = "list | move NAME --url URL",
    .help = "where each account at the provider is, and what it does",
    .text =
        "The first worker that has an account (APIMART_ACCOUNTS) stores its "
        "URL by its name. One\nwith another URL submits nothing there: a "
        "slip would buy elsewhere. `move` says that\nthe account is at "
        "another URL from now on; what was sent before is asked for at the\n"
        "old one only, by a worker that has it.\n\n"
        "LEARNT: how many generations at once the provider was seen to take, "
        "of the account's\nslots, where that is less (slots_min, "
        "GENERATIONS_MIN).\n\n"
        "Examples:\n"
        "  pixverse-ctl account list\n"
        "  pixverse-ctl account move default --url https://api.apimart.ai\n",
    .options = options,
    .run = run,
};
