#include "flow/uses.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void uses_done(struct uses *uses)
{
    for (size_t i = 0; i < uses->len; i++) {
        free(uses->all[i]);
    }
    free(uses->all);
    *uses = (struct uses){0};
}

static int compare(const struct use *use, const char *tenant,
                   struct str account)
{
    const int order = strcmp(use->tenant, tenant);
    if (order != 0) {
        return order;
    }
    const int accounts = strncmp(use->account, account.at, account.len);
    return accounts != 0 ? accounts : use->account[account.len] != '\0';
}

/** Where it is, or would be. */
static size_t place_of(const struct uses *uses, const char *tenant,
                       struct str account)
{
    size_t from = 0;
    size_t to = uses->len;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        if (compare(uses->all[middle], tenant, account) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static bool grow(struct uses *uses)
{
    const size_t size = uses->size ? uses->size * 2 : 64;
    struct use **all = realloc(uses->all, size * sizeof(struct use *));
    if (all) {
        uses->all = all;
        uses->size = size;
    }
    return all != NULL;
}

/** A row that names what no request can is counted all the same. */
static void put(char *out, size_t bytes, struct str text)
{
    const size_t len = text.len < bytes ? text.len : bytes - 1;
    memcpy(out, text.at, len);
    out[len] = '\0';
}

struct use *uses_add(struct uses *uses, struct str account, const char *tenant)
{
    assert(account.at && tenant);
    size_t at = place_of(uses, tenant, account);
    if (at < uses->len && compare(uses->all[at], tenant, account) == 0) {
        uses->all[at]->n++;
        return uses->all[at];
    }
    struct use *use = NULL;
    if (uses->len < uses->size || grow(uses)) {
        use = calloc(1, sizeof *use);
    }
    if (!use) {
        uses->lacks = true;
        return NULL;
    }
    put(use->account, sizeof use->account, account);
    put(use->tenant, sizeof use->tenant, str_of(tenant));
    use->n = 1;
    memmove(&uses->all[at + 1], &uses->all[at],
            (uses->len - at) * sizeof(struct use *));
    uses->all[at] = use;
    uses->len++;
    return use;
}

int uses_of(const struct uses *uses, const char *tenant)
{
    int n = 0;
    size_t at = place_of(uses, tenant, STR(""));
    for (; at < uses->len && strcmp(uses->all[at]->tenant, tenant) == 0; at++) {
        n += uses->all[at]->n;
    }
    return n;
}

void uses_sweep(struct uses *uses)
{
    size_t kept = 0;
    for (size_t i = 0; i < uses->len; i++) {
        if (uses->all[i]->n == 0 && uses->all[i]->told == 0) {
            free(uses->all[i]);
        } else {
            uses->all[kept++] = uses->all[i];
        }
    }
    uses->len = kept;
}
