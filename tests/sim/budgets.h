#ifndef SIM_BUDGETS_H
#define SIM_BUDGETS_H

#include "fake/provider.h"
#include "fake/store.h"
#include "fake/watch.h"

#include <string.h>

/*
 * In every fifth world some have budgets, from the beginning or from some time
 * on. It begins shortly before midnight, so that money belongs to two days.
 */

#define BUDGETS_DAWN_MS (INT64_C(18) * 3600 * 1000) /* WORLD_EPOCH_MS: 6:00 */
#define BUDGETS_GUESS (MONEY_ONE / 2) /* the dearest that a request can be */
#define BUDGETS_SOLD (MONEY_ONE / 5)  /* that the provider takes */

static inline bool budgets_are(uint64_t seed)
{
    return seed % 5 == 2;
}

/** Whose request that is. What extends another has to be of the same. */
static inline const char *budgets_tenant(uint64_t seed, size_t n)
{
    static const char *const names[] = {"default", "few", "many"};
    return names[budgets_are(seed) && seed % 4 >= 2 ? n % 3 : 0];
}

static inline void budgets_draw(void *context)
{
    struct world *world = context;
    static const char *const names[] = {"default", "few", "many", "*"};
    for (size_t i = 0; i < 4; i++) {
        const money more = world_pick(world, i == 3 ? 8 : 4) * MONEY_ONE;
        const money cents = world_pick(world, 100) * MONEY_ONE / 100;
        if (world_chance(world, 600)) {
            tables_budget(world, names[i],
                          world_chance(world, 500) ? BUDGET_DAY : BUDGET_MONTH,
                          more + cents, BUDGETS_GUESS);
        }
    }
}

/** Before any worker starts. */
static inline void budgets_begin(struct world *world, uint64_t seed)
{
    if (!budgets_are(seed)) {
        return;
    }
    world->now_ms += BUDGETS_DAWN_MS - world_pick(world, 150000);
    world->tables->estimates = true;
    world->tables->budget_busy = (int)world_pick(world, 4) * 150;
    if (world_chance(world, 700)) {
        budgets_draw(world);
    }
    if (world_chance(world, 400)) { /* while there is work */
        world_at(world, world_pick(world, 60000), budgets_draw, world);
    }
}

/** What was bought of that budget's tenants is within it, whatever the tables
 * say: of one that was never changed. null: of all. */
static inline const char *budgets_overdrawn(const struct world *world,
                                            int64_t began_ms)
{
    const struct tables *tables = world->tables;
    const char *whose = NULL;
    for (size_t i = 0; i < tables->budgets_len; i++) {
        const struct budget_of *budget = &tables->budgets[i];
        const money periods = budget->period == BUDGET_DAY ? 2 : 1;
        money sum = 0;
        for (size_t k = 0; k < world->provider->sales_len; k++) {
            const struct sale *sale = world->provider->sales[k];
            const struct record_of *of = tables_find(tables, sale->prompt);
            const bool counts =
                of && (strcmp(budget->tenant, "*") == 0 ||
                       str_eq(of->request.tenant, str_of(budget->tenant)));
            sum += counts && strcmp(sale->plan.end, "completed") == 0 &&
                           !sale->overloaded
                       ? BUDGETS_SOLD
                       : 0;
        }
        if (budget->set_ms == began_ms && sum > budget->amount * periods) {
            whose = budget->tenant;
        }
    }
    return whose;
}

/** All is well again: whatever has room gets it, and then all have. */
static inline const char *budgets_heal(struct world *world)
{
    struct tables *tables = world->tables;
    if (!tables->budgets_len) {
        return NULL;
    }
    if (!world_run_until(world, tables_budgets_full, world, 300000)) {
        return "what has room in its budget waits for it";
    }
    tables->budget_busy = 0;
    if (world_chance(world, 500)) {
        tables_budgets_unset(world);
        struck("budgets unset");
        return NULL;
    }
    for (size_t i = 0; i < tables->budgets_len; i++) {
        const struct budget_of *at = &tables->budgets[i];
        tables_budget(world, at->tenant, at->period, 1000 * MONEY_ONE,
                      BUDGETS_GUESS);
    }
    struck("budgets raised");
    return NULL;
}

/** Everything is told: nothing is on its way, and what was spent is what the
 * requests say. null: so it is. */
static inline const char *budgets_off(struct world *world)
{
    struct tables *tables = world->tables;
    if (!world_run_until(world, tables_budgets_settled, world, 60000)) {
        return "reserved or doubtful, and nothing is on its way";
    }
    if (!tables->budgets_len && tables->moneys_len + tables->spents_len) {
        return "money of no budget is kept";
    }
    for (size_t i = 0; i < tables->len; i++) {
        if (tables->records[i]->aside) {
            return "one waits for a budget, and is told";
        }
    }
    const int32_t last = budget_day(world_clock_ms(world));
    for (int32_t day = budget_day(WORLD_EPOCH_MS); day <= last; day++) {
        for (size_t i = 0; i < tables->budgets_len; i++) {
            const struct budget_of *at = &tables->budgets[i];
            if (tables_used(tables, at, day) != tables_owed(tables, at, day)) {
                return "what was spent is not what the requests say";
            }
        }
    }
    return NULL;
}

#endif
