#include "tenant.h"

#include "core/share.h"
#include "row.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct option options[] = {
    {"--weight", "W", "set: its part beside the others', 1..1000 (1)", false},
    {"--slots", "N", "set: the most it may occupy, 1..1000000, or none", false},
    {"--json", NULL, "one JSON object a tenant", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

#define TENANT_BYTES_MAX 64

bool tenant_is_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t len = strlen(name);
    return len > 0 && len <= TENANT_BYTES_MAX && strspn(name, allowed) == len &&
           !strchr("._-", name[0]);
}

/** Digits alone, 1..most. */
static bool is_number(const char *text, int64_t most)
{
    int64_t value = 0;
    const size_t len = strlen(text);
    if (len == 0 || len > 7 || strspn(text, "0123456789") != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        value = value * 10 + (text[i] - '0');
    }
    return value >= 1 && value <= most;
}

/* ---- list ---- */

static const char *slots_of(const json_t *row, char *out, size_t bytes)
{
    if (json_is_integer(json_object_get(row, "slots"))) {
        snprintf(out, bytes, "%" PRId64, row_number(row, "slots"));
    } else {
        snprintf(out, bytes, "none");
    }
    return out;
}

static void add_row(struct table *table, const json_t *row)
{
    char weight[24];
    char slots[24];
    char used[24];
    char waiting[24];
    const int64_t waits = row_number(row, "waiting");
    snprintf(weight, sizeof weight, "%" PRId64, row_number(row, "weight"));
    snprintf(used, sizeof used, "%" PRId64, row_number(row, "used"));
    snprintf(waiting, sizeof waiting, "%" PRId64 "%s", waits,
             waits == 10000 ? "+" : "");
    const char *cells[] = {row_text(row, "tenant"), weight,
                           slots_of(row, slots, sizeof slots), used, waiting};
    table_add(table, cells, 0, HUE_PLAIN);
}

static int list(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"TENANT", COLUMN_WHOLE}, {"WEIGHT", COLUMN_CUT},
        {"SLOTS", COLUMN_CUT},    {"USED", COLUMN_CUT},
        {"WAITING", COLUMN_CUT},  {0},
    };
    const char *const params[] = {NULL};
    json_t *rows = ctl_rows(ctl, "ctl_tenants", params, 1);
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        json_object_del(row, "shares");
    }
    return rows_print(ctl, rows, columns, add_row,
                      "no tenant is named, waits or occupies a slot "
                      "(pixverse-ctl tenant set NAME)");
}

/* ---- explain ---- */

void tenant_why(struct ctl *ctl, const json_t *row, char *why, size_t why_bytes)
{
    const char *const params[] = {row_text(row, "tenant")};
    const size_t len = strlen(why);
    if (row_state(row) != QUEUED || row_text(row, "waits_for")[0] ||
        !params[0][0] || len >= why_bytes) {
        return;
    }
    json_t *rows = ctl_rows(ctl, "ctl_tenants", params, 1);
    const json_t *tenant = json_array_get(rows, 0);
    const int64_t used = row_number(tenant, "used");
    const int64_t slots = row_number(tenant, "slots");
    if (tenant && slots > 0) {
        snprintf(why + len, why_bytes - len,
                 "; its tenant %s has %" PRId64 " of its %" PRId64
                 " slots in use%s",
                 params[0], used, slots,
                 used >= slots ? ", and waits for one of them" : "");
    } else if (tenant && json_is_true(json_object_get(tenant, "shares"))) {
        snprintf(why + len, why_bytes - len,
                 "; tenants share: its tenant %s, of weight %" PRId64
                 ", has %" PRId64 " slots in use (pixverse-ctl tenant list)",
                 params[0], row_number(tenant, "weight"), used);
    }
    json_decref(rows);
}

/* ---- set ---- */

static void say_set(const json_t *row)
{
    char slots[24];
    printf("%s has weight %" PRId64 " and ", row_text(row, "tenant"),
           row_number(row, "weight"));
    if (json_is_integer(json_object_get(row, "slots"))) {
        printf("at most %s slots", slots_of(row, slots, sizeof slots));
    } else {
        printf("no cap");
    }
    puts("; workers go by it within seconds.");
}

static int set(struct ctl *ctl, const char *name, const char *weight,
               const char *slots)
{
    const bool uncapped = slots && strcmp(slots, "none") == 0;
    if (!weight && !slots) {
        return ctl_usage("tenant", "set wants --weight W, --slots N, or both");
    }
    if (weight && !is_number(weight, SHARE_WEIGHT_MAX)) {
        return ctl_usage("tenant", "--weight is \"%s\", allowed: 1..%d", weight,
                         SHARE_WEIGHT_MAX);
    }
    if (slots && !uncapped && !is_number(slots, SHARE_SLOTS_MAX)) {
        return ctl_usage("tenant",
                         "--slots is \"%s\", allowed: 1..%d, or none (to stop "
                         "everybody: pixverse-ctl pause)",
                         slots, SHARE_SLOTS_MAX);
    }
    const char *const params[] = {name, weight, uncapped ? "0" : slots};
    json_t *rows = ctl_rows(ctl, "ctl_tenant_set", params, 3);
    const json_t *row = json_array_get(rows, 0);
    if (row && ctl->json) {
        ctl_print_json(row);
    } else if (row) {
        say_set(row);
    }
    const int status = row ? EXIT_DONE : EXIT_FAILED;
    json_decref(rows);
    return status;
}

/* ---- unset ---- */

static int unset(struct ctl *ctl, const char *name)
{
    const char *const params[] = {name};
    json_t *rows = ctl_rows(ctl, "ctl_tenant_unset", params, 1);
    const json_t *row = json_array_get(rows, 0);
    if (rows && !row) {
        fprintf(stderr,
                "pixverse-ctl tenant: nothing is set of \"%s\" (pixverse-ctl "
                "tenant list)\n",
                name);
    }
    if (row && ctl->json) {
        ctl_print_json(row);
    } else if (row) {
        printf("%s has weight 1 and no cap, as all others.\n", name);
        if (json_is_true(json_object_get(row, "last"))) {
            puts("It was the last: the highest priority goes first again, "
                 "whose it is doesn't matter.");
        }
    }
    const int status = row ? EXIT_DONE : EXIT_FAILED;
    json_decref(rows);
    return status;
}

static int run(struct ctl *ctl, const struct options *given)
{
    const char *weight = options_get(given, "--weight");
    const char *slots = options_get(given, "--slots");
    const char *word = given->words_len ? given->words[0] : "";
    const char *name = given->words_len == 2 ? given->words[1] : NULL;
    if (strcmp(word, "list") == 0 && given->words_len == 1 && !weight &&
        !slots) {
        return list(ctl);
    }
    if (name && !tenant_is_name(name)) {
        return ctl_usage("tenant",
                         "\"%s\" is no tenant, allowed: " TENANT_NAME_ALLOWED,
                         name);
    }
    if (strcmp(word, "set") == 0 && name) {
        return set(ctl, name, weight, slots);
    }
    if (strcmp(word, "unset") == 0 && name && !weight && !slots) {
        return unset(ctl, name);
    }
    return ctl_usage("tenant",
                     "allowed: list, set NAME --weight W --slots N, or unset "
                     "NAME");
}

const struct command command_tenant = {
    .name = "tenant",
    .usage = "list | set NAME [--weight W] [--slots N|none] | unset NAME",
    .help = "who has which part of the slots at the provider",
    .text =
        "With the first weight or cap (or TENANT_FAIRNESS=1) tenants of whom "
        "something waits share\nwhat may run at once (GENERATIONS_MAX, slots "
        "of accounts) by weight; priority ranks\nwithin a tenant. Where "
        "nothing limits that, they share submissions. What one leaves\nthe "
        "others have. --slots is never exceeded. Who isn't named has weight 1 "
        "and no cap.\nUSED is what submits and runs, WAITING what could (10000+: "
        "or more).\n\n"
        "Examples:\n"
        "  pixverse-ctl tenant set studio-a --weight 3\n"
        "  pixverse-ctl tenant set trial --slots 2\n"
        "  pixverse-ctl tenant unset trial\n",
    .options = options,
    .run = run,
};
