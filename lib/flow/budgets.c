#include "flow/budgets.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS INT64_C(5000)
/* Looks that failed in a row, before people are told. */
#define FAILED_TELLS 3
#define TOLD_MAX 1000 /* series: those of what comes later are not told */

#define TOLD_VALUES(X)                                                         \
    X(LIMIT, "limit", "What may be spent.")                                    \
    X(SPENT, "spent", "What was spent, estimates of unknown costs among it.")  \
    X(RESERVED, "reserved", "The estimates of what is on its way.")            \
    X(DOUBTFUL, "doubtful", "The estimates of what may have been billed.")     \
    X(ESTIMATED, "estimated", "What was spent, as it was estimated.")          \
    X(WAITING, "waiting_requests", "Requests that wait for room in it.")       \
    X(NEAR, "near", "1: the share of it that calls for a warning is used.")

enum told_value {
#define X(name, text, help) TOLD_##name,
    TOLD_VALUES(X)
#undef X
        TOLD_VALUES_LEN
};

struct told {
    char *tenant;
    enum budget_period period;
    uint64_t look; /* the last that named it */
    struct metric *values[TOLD_VALUES_LEN];
};

void budgets_init(struct budgets *budgets, struct store *store,
                  struct metrics *metrics)
{
    assert(store && metrics);
    *budgets = (struct budgets){.store = store, .metrics = metrics};
}

void budgets_done(struct budgets *budgets)
{
    for (size_t i = 0; i < budgets->len; i++) {
        free(budgets->all[i].tenant);
    }
    free(budgets->all);
    *budgets = (struct budgets){0};
}

static void get_values(struct budgets *budgets, struct told *told)
{
    static const struct {
        const char *name;
        const char *help;
    } values[] = {
#define X(name, text, help) [TOLD_##name] = {"pixverse_budget_" text, help},
        TOLD_VALUES(X)
#undef X
    };
    struct buf labels;
    buf_init(&labels, 0);
    buf_add_text(&labels, "tenant=\"");
    metric_label_add(&labels, told->tenant);
    buf_printf(&labels, "\",period=\"%s\"", budget_period_name(told->period));
    for (size_t i = 0; i < TOLD_VALUES_LEN; i++) {
        told->values[i] =
            metric_get(budgets->metrics, METRIC_GAUGE, values[i].name,
                       labels.failed ? NULL : labels.bytes, values[i].help);
    }
    buf_done(&labels);
}

/** null: no memory, or too many. */
static struct told *told_of(struct budgets *budgets,
                            const struct budget_row *row)
{
    for (size_t i = 0; i < budgets->len; i++) {
        if (budgets->all[i].period == row->period &&
            str_eq(str_of(budgets->all[i].tenant), row->tenant)) {
            return &budgets->all[i];
        }
    }
    if (budgets->len == TOLD_MAX) {
        return NULL;
    }
    struct told *all =
        realloc(budgets->all, (budgets->len + 1) * sizeof *budgets->all);
    char *name = strndup(row->tenant.at, row->tenant.len);
    budgets->all = all ? all : budgets->all;
    if (!all || !name) {
        free(name);
        return NULL;
    }
    struct told *told = &all[budgets->len++];
    *told = (struct told){.tenant = name, .period = row->period};
    get_values(budgets, told);
    return told;
}

static double units(money amount)
{
    return (double)amount / (double)MONEY_ONE;
}

static void tell(struct told *told, const struct budget_row *row)
{
    const money used = row->spent + row->reserved + row->doubtful;
    const bool near =
        (double)used * 100 >= (double)row->amount * (double)row->warn;
    metric_set(told->values[TOLD_LIMIT], units(row->amount));
    metric_set(told->values[TOLD_SPENT], units(row->spent));
    metric_set(told->values[TOLD_RESERVED], units(row->reserved));
    metric_set(told->values[TOLD_DOUBTFUL], units(row->doubtful));
    metric_set(told->values[TOLD_ESTIMATED], units(row->estimate));
    metric_set(told->values[TOLD_WAITING], (double)row->waits);
    metric_set(told->values[TOLD_NEAR], near);
}

/** What is told by another worker from now on, or is no budget any more. */
static void untell(struct budgets *budgets)
{
    for (size_t i = 0; i < budgets->len; i++) {
        if (budgets->all[i].look != budgets->looks) {
            for (size_t v = 0; v < TOLD_VALUES_LEN; v++) {
                metric_set(budgets->all[i].values[v], 0);
            }
        }
    }
}

static void on_budgets(void *context, const struct budget_row *rows, size_t len,
                       const struct err *err)
{
    struct budgets *budgets = context;
    assert(budgets->asked);
    budgets->asked = false;
    if (err) {
        budgets->failed++;
        log_at(budgets->failed == FAILED_TELLS ? LOG_WARN : LOG_DEBUG,
               "how budgets stand is not known: what waits for one goes on "
               "waiting",
               LOG_TEXT("why", err->text));
        return;
    }
    budgets->failed = 0;
    budgets->looks++;
    for (size_t i = 0; i < len; i++) {
        struct told *told = told_of(budgets, &rows[i]);
        if (told) {
            told->look = budgets->looks;
            tell(told, &rows[i]);
        }
    }
    untell(budgets);
}

void budgets_beaten(struct budgets *budgets, bool mine, bool there,
                    int64_t boot_ms)
{
    if (mine && there && !budgets->asked && boot_ms >= budgets->due_ms) {
        budgets->asked = true;
        budgets->due_ms = boot_ms + LOOK_EVERY_MS;
        store_budgets(budgets->store, on_budgets, budgets);
    } else if (!mine || !there) {
        store_budgets_end(budgets->store);
        budgets->looks++;
        untell(budgets);
    }
}
