#include "budgets.h"

#include "core/price.h"
#include "core/spending.h"
#include "tenant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct option options[] = {
    {"--day", "AMOUNT", "set: what may be spent in a day (UTC)", false},
    {"--month", "AMOUNT", "the same of a month (UTC)", false},
    {"--warn", "PERCENT", "set: the share that calls for a warning (80)", false},
    {"--json", NULL, "one JSON object a budget", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

#define WARN_USUAL 80
#define CELL_BYTES 40

/* ---- list ---- */

static int list(struct ctl *ctl)
{
    json_t *rows = budgets_read(ctl);
    size_t i;
    json_t *row;
    if (!rows) {
        return EXIT_FAILED;
    }
    if (!ctl->json && json_array_size(rows) == 0) {
        puts("nobody has a budget");
    }
    json_array_foreach(rows, i, row)
    {
        if (ctl->json) {
            ctl_print_json(row);
        }
    }
    if (!ctl->json) {
        budgets_print(ctl, rows);
    }
    json_decref(rows);
    return EXIT_DONE;
}

/* ---- set, unset ---- */

static bool asks(struct ctl *ctl, const char *query, const char *const *params,
                 size_t len, const char *name, int64_t *number)
{
    json_t *rows = ctl_rows(ctl, query, params, len);
    const json_t *value = json_object_get(json_array_get(rows, 0), name);
    const bool fine = rows != NULL;
    if (number && value) {
        *number = json_is_boolean(value) ? json_is_true(value)
                                         : (int64_t)json_integer_value(value);
    }
    json_decref(rows);
    return fine;
}

/** What a request without an estimate counts as. false after saying why not. */
static bool guess(struct ctl *ctl, money *amount)
{
    struct arena arena;
    struct prices prices = {0};
    struct err err = {0};
    const struct str text = str_of(ctl->settings.prices);
    bool fine = true;
    *amount = PRICE_UNKNOWN;
    arena_init(&arena, 4096, 0);
    if (text.len && !prices_read(text, &arena, &prices, &err)) {
        fprintf(stderr, "pixverse-ctl budget: PRICES: %s\n", err.text);
        fine = false;
    } else if (text.len) {
        *amount = prices_most(&prices);
    } else {
        fine = asks(ctl, "ctl_budget_guess", NULL, 0, "guess", amount);
    }
    arena_done(&arena);
    if (fine && *amount < 0) {
        fputs("pixverse-ctl budget: nobody knows what a request costs: no "
              "request of a known cost has completed yet, and PRICES is not "
              "set (here, as for the workers); nothing was changed\n",
              stderr);
        return false;
    }
    return fine;
}

/** All in one transaction, while nobody claims of budgets: the money of
 * `tenant` is counted anew, or its budgets go (*gone: how many). */
static bool settle(struct ctl *ctl, const char *tenant, int64_t *gone)
{
    struct err err = {0};
    const char *const whose[] = {tenant};
    const char *const nobodys[] = {NULL};
    if (!ctl_database(ctl) || !inspect_begin(ctl->inspect, &err)) {
        fprintf(stderr, "pixverse-ctl budget: %s\n", err.text);
        return false;
    }
    bool fine = asks(ctl, "ctl_budget_lock", NULL, 0, "locked", NULL);
    if (gone) {
        fine = fine && asks(ctl, "ctl_budget_unset", whose, 1, "gone", gone) &&
               asks(ctl, "ctl_budget_clear", nobodys, 1, "freed", NULL);
    } else {
        fine = fine && asks(ctl, "ctl_budget_clear", whose, 1, "freed", NULL) &&
               asks(ctl, "ctl_budget_fill", whose, 1, "open", NULL);
    }
    if (!fine) {
        (void)inspect_rollback(ctl->inspect, &err);
    } else if (!inspect_commit(ctl->inspect, &err)) {
        fprintf(stderr, "pixverse-ctl budget: %s\n", err.text);
        return false;
    }
    return fine;
}

/** Until every claim sees the budget. Who joins from now on sees it, too. */
static bool wait_for_claims(struct ctl *ctl)
{
    json_t *leases = ctl_rows(ctl, "ctl_budget_leases", NULL, 0);
    bool fine = leases != NULL;
    for (size_t i = 0; fine && i < json_array_size(leases); i++) {
        char id[CELL_BYTES];
        snprintf(id, sizeof id, "%" PRId64,
                 row_number(json_array_get(leases, i), "id"));
        const char *const param = id;
        fine = asks(ctl, "ctl_budget_wait", &param, 1, "workers", NULL);
    }
    json_decref(leases);
    return fine;
}

static bool set_one(struct ctl *ctl, const char *tenant,
                    enum budget_period period, money amount, const char *warn,
                    money guess)
{
    char texts[3][CELL_BYTES];
    int64_t kept = 0;
    snprintf(texts[0], CELL_BYTES, "%d", (int)period);
    snprintf(texts[1], CELL_BYTES, "%" PRId64, amount);
    snprintf(texts[2], CELL_BYTES, "%" PRId64, guess);
    const char *const params[] = {tenant, texts[0], texts[1], warn, texts[2]};
    return asks(ctl, "ctl_budget_set", params, 5, "kept", &kept) &&
           (kept || (wait_for_claims(ctl) && settle(ctl, tenant, NULL)));
}

/** "80" or "80%"; *warn: as a number. */
static bool read_warn(const char *given, char warn[CELL_BYTES])
{
    int percent = WARN_USUAL;
    int used = 0;
    if (given &&
        (sscanf(given, "%3d%n", &percent, &used) != 1 || given[0] < '0' ||
         given[0] > '9' || percent < 1 || percent > 100 ||
         (given[used] && strcmp(given + used, "%") != 0))) {
        return false;
    }
    snprintf(warn, CELL_BYTES, "%d", percent);
    return true;
}

static int set(struct ctl *ctl, const char *tenant, const struct options *given)
{
    static const char *const names[] = {"--day", "--month"};
    char warn[CELL_BYTES];
    money amounts[2] = {-1, -1};
    money guessed;
    for (int i = 0; i < 2; i++) {
        const char *text = options_get(given, names[i]);
        if (text && !money_parse(str_of(text), &amounts[i])) {
            return ctl_usage("budget",
                             "%s \"%s\" is no amount, allowed: 0..1000000000 "
                             "with six decimals at most",
                             names[i], text);
        }
    }
    if (amounts[0] < 0 && amounts[1] < 0) {
        return ctl_usage("budget", "set wants --day AMOUNT, --month AMOUNT or "
                                   "both");
    }
    if (!read_warn(options_get(given, "--warn"), warn)) {
        return ctl_usage("budget",
                         "--warn \"%s\" is no share, allowed: "
                         "1..100, with or without a %%",
                         options_get(given, "--warn"));
    }
    if (!guess(ctl, &guessed)) {
        return EXIT_FAILED;
    }
    for (int i = 0; i < 2; i++) {
        if (amounts[i] >= 0 && !set_one(ctl, tenant, (enum budget_period)i,
                                        amounts[i], warn, guessed)) {
            fputs("pixverse-ctl budget: what was bought before may not be "
                  "counted yet: until it is, nothing fits this budget; give "
                  "the same command again\n",
                  stderr);
            return EXIT_FAILED;
        }
    }
    return list(ctl);
}

static int unset(struct ctl *ctl, const char *tenant)
{
    int64_t gone = 0;
    if (!settle(ctl, tenant, &gone)) {
        return EXIT_FAILED;
    }
    if (!gone) {
        fprintf(stderr,
                "pixverse-ctl budget: \"%s\" has no budget "
                "(pixverse-ctl budget list)\n",
                tenant);
        return EXIT_FAILED;
    }
    return list(ctl);
}

static int run(struct ctl *ctl, const struct options *given)
{
    const char *word = given->words_len ? given->words[0] : "";
    const char *tenant = given->words_len > 1 ? given->words[1] : "";
    const bool sets = strcmp(word, "set") == 0;
    const bool amounts = options_has(given, "--day") ||
                         options_has(given, "--month") ||
                         options_has(given, "--warn");
    if (strcmp(word, "list") == 0 && given->words_len == 1 && !amounts) {
        return list(ctl);
    }
    if (given->words_len != 2 || (!sets && strcmp(word, "unset") != 0) ||
        (!sets && amounts)) {
        return ctl_usage("budget", "allowed: set TENANT [--day AMOUNT] "
                                   "[--month AMOUNT] [--warn PERCENT], "
                                   "unset TENANT, list");
    }
    if (strcmp(tenant, "*") != 0 && !tenant_is_name(tenant)) {
        return ctl_usage("budget",
                         "\"%s\" is no tenant, allowed: " TENANT_NAME_ALLOWED
                         ", or '*' in quotes: all of them together",
                         tenant);
    }
    return sets ? set(ctl, tenant, given) : unset(ctl, tenant);
}

const struct command command_budget = {
    .name = "budget",
    .usage = "set TENANT [--day AMOUNT] [--month AMOUNT] [--warn PERCENT] | "
             "unset TENANT | list",
    .help = "what tenants may spend in a day or a month",
    .text =
        "Nothing is submitted for a tenant beyond its budget, or for anybody "
        "beyond that of '*',\nwhich is the sum of all: what is spent, reserved "
        "for what is on its way and doubtful\n(it may have been billed) stays "
        "within the limit, by the estimates (PRICES; without it\nwhat the like "
        "cost). What it cost in truth may differ. Days and months are UTC, and "
        "money\nbelongs to those of the claim. Requests without room wait; "
        "nothing fails for it. FORECAST\nis what the period will come to if it "
        "goes on like this. Amounts are in the unit that the\nprovider bills "
        "in.\n\n"
        "Examples:\n"
        "  pixverse-ctl budget set acme --day 50 --month 1000 --warn 80%\n"
        "  pixverse-ctl budget set '*' --day 500\n"
        "  pixverse-ctl budget unset acme\n"
        "  pixverse-ctl budget list --json | jq 'select(.near)'\n",
    .options = options,
    .run = run,
};
