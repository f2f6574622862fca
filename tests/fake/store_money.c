#include "core/apimart.h"
#include "fake/store_call.h"
#include "fake/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lib/edge/store.h: budgets (sql/query/claim.sql, budget_*.sql, money*.sql,
 * ctl_budget_*.sql). Of submissions before the last nothing changes here. */

static bool is_all(const char *tenant)
{
    return strcmp(tenant, "*") == 0;
}

/** Whether that budget counts what that tenant does. */
static bool counts_for(const char *whose, struct str tenant)
{
    return is_all(whose) || str_eq(str_of(whose), tenant);
}

static bool has_budget(const struct tables *tables, struct str tenant)
{
    bool has = false;
    for (size_t i = 0; i < tables->budgets_len; i++) {
        has = has || counts_for(tables->budgets[i].tenant, tenant);
    }
    return has;
}

static int32_t today(const struct tables *tables)
{
    return budget_day(world_clock_ms(tables->world));
}

static void set_name(char to[68], struct str name)
{
    snprintf(to, 68, "%.*s", (int)name.len, name.at ? name.at : "");
}

/* ---- rows of money ---- */

static struct money_of *find_money(const struct tables *tables, int64_t task,
                                   int32_t submission)
{
    for (size_t i = 0; i < tables->moneys_len; i++) {
        struct money_of *at = &tables->moneys[i];
        if (at->task == task && at->submission == submission) {
            return at;
        }
    }
    return NULL;
}

static struct money_of *made_money(struct tables *tables,
                                   const struct record_of *record)
{
    struct money_of *at =
        find_money(tables, record->row.id, record->row.submission);
    if (!at) {
        tables->moneys = realloc(tables->moneys, (tables->moneys_len + 1) *
                                                     sizeof *tables->moneys);
        assert(tables->moneys);
        at = &tables->moneys[tables->moneys_len++];
    }
    *at = (struct money_of){.task = record->row.id,
                            .submission = record->row.submission};
    set_name(at->tenant, record->request.tenant);
    return at;
}

static money estimate_of(const struct tables *tables,
                         const struct record_of *record)
{
    money guess = 0;
    for (size_t i = 0; i < tables->budgets_len; i++) {
        const money one = tables->budgets[i].guess;
        guess = one > guess ? one : guess;
    }
    return record->request.price != PRICE_UNKNOWN ? record->request.price
                                                  : guess;
}

/** sql/query/budget_price.sql */
static money price_now(const struct tables *tables,
                       const struct record_of *record, int32_t day)
{
    const struct money_of *at =
        find_money(tables, record->row.id, record->row.submission);
    const money price =
        estimate_of(tables, record) - (at && at->day == day ? at->amount : 0);
    return price > 0 ? price : 0;
}

/** As its row says by now. */
static void set_anew(struct tables *tables, const struct record_of *record)
{
    struct money_of *at =
        find_money(tables, record->row.id, record->row.submission);
    if (at) {
        at->state = spending_of(&record->row);
        at->amount = spending_amount(&record->row, at->estimate);
    }
}

/* ---- what is used ---- */

static bool is_within(enum budget_period period, int32_t of, int32_t day)
{
    return of >= budget_begins(period, day) && of < budget_ends(period, day);
}

/** sql/query/budget_used.sql */
static struct budget_row row_of(const struct tables *tables,
                                const struct budget_of *budget, int32_t day)
{
    struct budget_row row = {.tenant = str_of(budget->tenant),
                             .period = budget->period,
                             .amount = budget->amount,
                             .warn = 80};
    for (size_t i = 0; i < tables->spents_len; i++) {
        const struct spent_of *spent = &tables->spents[i];
        if (strcmp(spent->tenant, budget->tenant) == 0 &&
            spent->period == budget->period &&
            spent->since == budget_begins(budget->period, day)) {
            row.spent += spent->amount;
            row.estimate += spent->estimate;
        }
    }
    for (size_t i = 0; i < tables->moneys_len; i++) {
        const struct money_of *at = &tables->moneys[i];
        if (!counts_for(budget->tenant, str_of(at->tenant)) ||
            !is_within(budget->period, at->day, day)) {
            continue;
        }
        const bool spent =
            at->state == SPENDING_SPENT || at->state == SPENDING_ASSUMED;
        row.spent += spent ? at->amount : 0;
        row.estimate += spent ? at->estimate : 0;
        row.reserved += at->state == SPENDING_RESERVED ? at->amount : 0;
        row.doubtful += at->state == SPENDING_DOUBTFUL ? at->amount : 0;
    }
    for (size_t i = 0; i < tables->len; i++) {
        row.waits +=
            tables->records[i]->aside &&
            counts_for(budget->tenant, tables->records[i]->request.tenant);
    }
    return row;
}

money tables_used(const struct tables *tables, const struct budget_of *budget,
                  int32_t day)
{
    const struct budget_row row = row_of(tables, budget, day);
    return row.spent + row.reserved + row.doubtful;
}

money tables_owed(const struct tables *tables, const struct budget_of *budget,
                  int32_t day)
{
    money sum = 0;
    for (size_t i = 0; i < tables->len; i++) {
        const struct record_of *record = tables->records[i];
        if (record->claim_day > 0 &&
            counts_for(budget->tenant, record->request.tenant) &&
            is_within(budget->period, record->claim_day, day)) {
            sum += spending_amount(&record->row, estimate_of(tables, record));
        }
    }
    return sum;
}

/** The least that its budgets leave; false: it has none. */
static bool room_of(const struct tables *tables, struct str tenant, int32_t day,
                    money *room)
{
    bool has = false;
    for (size_t i = 0; i < tables->budgets_len; i++) {
        const struct budget_of *budget = &tables->budgets[i];
        if (str_eq(str_of(budget->tenant), tenant)) {
            const money left =
                budget->amount - tables_used(tables, budget, day);
            *room = !has || left < *room ? left : *room;
            has = true;
        }
    }
    return has;
}

/* ---- what fits ---- */

static int by_turn(const void *a, const void *b)
{
    const struct record_of *one = *(struct record_of *const *)a;
    const struct record_of *other = *(struct record_of *const *)b;
    const int higher = other->request.priority - one->request.priority;
    return higher                        ? higher
           : one->row.id < other->row.id ? -1
                                         : one->row.id > other->row.id;
}

/** sql/query/budget_fits.sql: of those, so many are barred. */
static size_t bar(const struct tables *tables, struct record_of **list,
                  size_t len, int32_t day)
{
    size_t barred = 0;
    money total = 0;
    if (len) {
        qsort(list, len, sizeof(*list), by_turn);
    }
    for (size_t i = 0; i < len; i++) {
        const struct str tenant = list[i]->request.tenant;
        money own = 0;
        money room = 0;
        for (size_t k = 0; k <= i; k++) {
            own += str_eq(list[k]->request.tenant, tenant)
                       ? price_now(tables, list[k], day)
                       : 0;
        }
        list[i]->barred = room_of(tables, tenant, day, &room) && own > room;
        if (!list[i]->barred) {
            total += price_now(tables, list[i], day);
            list[i]->barred =
                room_of(tables, STR("*"), day, &room) && total > room;
        }
        barred += list[i]->barred;
    }
    return barred;
}

static bool is_among(struct record_of *const *list, size_t len,
                     struct str tenant)
{
    bool is = false;
    for (size_t i = 0; i < len; i++) {
        is = is || (list[i]->barred && str_eq(list[i]->request.tenant, tenant));
    }
    return is;
}

/** Those that are barred, and what stands behind them. */
static void put_aside(struct tables *tables, const struct turn *turn,
                      struct record_of *const *list, size_t len)
{
    const struct str ours = apimart_account_name(turn->account);
    for (size_t i = 0; i < tables->len; i++) {
        struct record_of *record = tables->records[i];
        const bool behind =
            record->waiting && !record->picked && !is_blocked(record) &&
            (!record->pinned || is_pinned_to(record, &ours, 1)) &&
            is_among(list, len, record->request.tenant);
        if (!record->aside && (record->barred || behind)) {
            record->aside = true;
            tables->asides++;
            struck("put aside for want of a budget");
        }
    }
}

void budgets_bar(struct tables *tables, const struct turn *turn,
                 struct turn_result *result, struct record_of **picks,
                 size_t len)
{
    if (!turn->budgets || !turn->claims_max) {
        return;
    }
    struct record_of **list = calloc(len + 1, sizeof(*list));
    size_t listed = 0;
    assert(list);
    for (size_t i = 0; i < len; i++) {
        if (has_budget(tables, picks[i]->request.tenant)) {
            list[listed++] = picks[i];
        }
    }
    result->budget_busy = world_chance(tables->world, tables->budget_busy);
    if (result->budget_busy) {
        for (size_t i = 0; i < listed; i++) {
            list[i]->barred = true;
        }
    } else if (bar(tables, list, listed, budget_day(turn->now_ms))) {
        result->budget_barred = true;
        put_aside(tables, turn, list, listed);
    }
    free(list);
}

void budgets_reserve(struct tables *tables, const struct turn *turn,
                     const struct record_of *record)
{
    if (!turn->budgets || !has_budget(tables, record->request.tenant)) {
        return;
    }
    struct money_of *at = made_money(tables, record);
    at->day = budget_day(turn->now_ms);
    at->state = spending_of(&record->row);
    at->estimate = estimate_of(tables, record);
    at->amount = at->estimate;
}

void budgets_move(struct tables *tables, const struct turn *turn)
{
    for (size_t i = 0; i < turn->saves_len && turn->budgets; i++) {
        const struct record_of *record = record_at(tables, turn->saves[i]->id);
        if (record) {
            set_anew(tables, record);
        }
    }
}

void budgets_hold(struct tables *tables, const struct turn *turn,
                  const struct turn_result *result)
{
    const int32_t day = budget_day(turn->now_ms);
    for (size_t i = 0; i < tables->budgets_len; i++) {
        const struct budget_of *budget = &tables->budgets[i];
        bool took = false;
        for (size_t k = 0; k < result->claimed_len; k++) {
            took =
                took || counts_for(budget->tenant, result->claimed[k].tenant);
        }
        if (took && (tables_owed(tables, budget, day) > budget->amount ||
                     tables_used(tables, budget, day) > budget->amount)) {
            world_fault(tables->world, "a claim exceeded a budget",
                        budget->tenant);
        }
    }
}

/* ---- looks ---- */

/** sql/query/money_again.sql */
static void look_again(struct tables *tables)
{
    for (size_t i = 0; i < tables->moneys_len; i++) {
        const struct money_of *at = &tables->moneys[i];
        const struct record_of *record = record_at(tables, at->task);
        if ((at->state == SPENDING_RESERVED || at->state == SPENDING_DOUBTFUL ||
             at->state == SPENDING_ASSUMED) &&
            record->row.submission == at->submission) {
            set_anew(tables, record);
        }
    }
}

static void add_spent(struct tables *tables, const char *tenant,
                      enum budget_period period, const struct money_of *at)
{
    const int32_t since = budget_begins(period, at->day);
    struct spent_of *spent = NULL;
    for (size_t i = 0; i < tables->spents_len; i++) {
        struct spent_of *one = &tables->spents[i];
        if (strcmp(one->tenant, tenant) == 0 && one->period == period &&
            one->since == since) {
            spent = one;
        }
    }
    if (!spent) {
        assert(tables->spents_len < SPENTS_MAX);
        spent = &tables->spents[tables->spents_len++];
        *spent = (struct spent_of){.period = period, .since = since};
        set_name(spent->tenant, str_of(tenant));
    }
    spent->amount += at->amount;
    spent->estimate += at->estimate;
}

/** sql/query/money_fold.sql; what is assumed stays. */
static void fold(struct tables *tables)
{
    size_t kept = 0;
    for (size_t i = 0; i < tables->moneys_len; i++) {
        const struct money_of at = tables->moneys[i];
        if (at.state == SPENDING_SPENT) {
            add_spent(tables, at.tenant, BUDGET_DAY, &at);
            add_spent(tables, at.tenant, BUDGET_MONTH, &at);
            add_spent(tables, "*", BUDGET_DAY, &at);
            add_spent(tables, "*", BUDGET_MONTH, &at);
        } else if (at.state != SPENDING_NONE) {
            tables->moneys[kept++] = at;
        }
    }
    tables->moneys_len = kept;
}

/** sql/query/budget_free.sql; how many there is room for. */
static size_t free_some(const struct tables *tables, bool really)
{
    struct record_of **list = calloc(tables->len + 1, sizeof(*list));
    size_t len = 0;
    assert(list);
    for (size_t i = 0; i < tables->len; i++) {
        if (tables->records[i]->aside) {
            list[len++] = tables->records[i];
        }
    }
    const size_t barred = bar(tables, list, len, today(tables));
    for (size_t i = 0; i < len; i++) {
        list[i]->aside = list[i]->barred || !really;
        list[i]->barred = false;
    }
    free(list);
    return len - barred;
}

/** Each step is a transaction, which comes to nothing now and then. */
static void run_budgets(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    if (!world_chance(tables->world, tables->budget_busy)) {
        look_again(tables);
    }
    if (!world_chance(tables->world, tables->budget_busy)) {
        fold(tables);
    }
    if (!world_chance(tables->world, tables->budget_busy)) {
        (void)free_some(tables, true);
    }
    call->budgets.len = tables->budgets_len;
    call->budgets.rows =
        arena_alloc(&call->op.arena,
                    (tables->budgets_len + 1) * sizeof *call->budgets.rows);
    for (size_t i = 0; i < tables->budgets_len; i++) {
        struct budget_row *row = &call->budgets.rows[i];
        *row = row_of(tables, &tables->budgets[i], today(tables));
        row->tenant = copy_str(&call->op.arena, row->tenant);
    }
}

static void answer_budgets(struct call *call)
{
    const bool fine = call->err.kind == ERR_NONE;
    call->store->looking = NULL;
    call->on_budgets(call->context, fine ? call->budgets.rows : NULL,
                     fine ? call->budgets.len : 0, fine ? NULL : &call->err);
}

void store_budgets(struct store *store, budgets_fn *on_budgets, void *context)
{
    assert(on_budgets && !store->looking);
    struct call *call = call_new(store, run_budgets, answer_budgets, context);
    call->on_budgets = on_budgets;
    store->looking = call;
    call_go(call, LANE_MONEY);
}

void store_budgets_end(struct store *store)
{
    if (store->looking) {
        call_refuse(store->looking, "another worker looks");
    }
}

/* ---- orders ---- */

/** sql/query/ctl_budget_clear.sql; tenant null: nobody's is counted anew. */
static void clear(struct tables *tables, const char *tenant)
{
    size_t kept = 0;
    for (size_t i = 0; i < tables->moneys_len; i++) {
        const struct str whose = str_of(tables->moneys[i].tenant);
        if (!(tenant && counts_for(tenant, whose)) &&
            has_budget(tables, whose)) {
            tables->moneys[kept++] = tables->moneys[i];
        }
    }
    tables->moneys_len = kept;
    kept = 0;
    for (size_t i = 0; i < tables->spents_len; i++) {
        const struct str whose = str_of(tables->spents[i].tenant);
        if (!(tenant && counts_for(tenant, whose)) &&
            has_budget(tables, whose)) {
            tables->spents[kept++] = tables->spents[i];
        }
    }
    tables->spents_len = kept;
    for (size_t i = 0; i < tables->len; i++) {
        struct record_of *record = tables->records[i];
        record->aside =
            record->aside && has_budget(tables, record->request.tenant);
    }
}

/** sql/query/ctl_budget_fill.sql */
static void fill(struct tables *tables, const char *tenant)
{
    const int32_t since = budget_begins(BUDGET_MONTH, today(tables));
    for (size_t i = 0; i < tables->len; i++) {
        const struct record_of *record = tables->records[i];
        const enum spending state = spending_of(&record->row);
        const int32_t day = budget_day(record->row.first_sent_ms);
        const bool open =
            state == SPENDING_RESERVED || state == SPENDING_DOUBTFUL;
        if ((record->waiting && !record->row.doubt) ||
            record->row.first_sent_ms == 0 || state == SPENDING_NONE ||
            (!open && day < since) ||
            !counts_for(tenant, record->request.tenant)) {
            continue;
        }
        struct money_of *at = made_money(tables, record);
        at->day = day;
        at->estimate = estimate_of(tables, record);
        set_anew(tables, record);
    }
}

void tables_budget(struct world *world, const char *tenant,
                   enum budget_period period, money amount, money guess)
{
    struct tables *tables = world->tables;
    const bool kept = has_budget(tables, str_of(tenant));
    struct budget_of *budget = NULL;
    for (size_t i = 0; i < tables->budgets_len; i++) {
        struct budget_of *one = &tables->budgets[i];
        if (one->period == period && strcmp(one->tenant, tenant) == 0) {
            budget = one;
        }
    }
    if (!budget) {
        assert(tables->budgets_len < BUDGETS_MAX);
        budget = &tables->budgets[tables->budgets_len++];
        *budget = (struct budget_of){.period = period};
        set_name(budget->tenant, str_of(tenant));
    }
    budget->amount = amount;
    budget->guess = guess;
    budget->set_ms = world->now_ms;
    if (!kept) {
        clear(tables, tenant);
        fill(tables, tenant);
    }
}

void tables_budgets_unset(struct world *world)
{
    world->tables->budgets_len = 0;
    clear(world->tables, NULL);
}

bool tables_budgets_full(void *context)
{
    const struct world *world = context;
    return free_some(world->tables, false) == 0;
}

bool tables_budgets_settled(void *context)
{
    const struct tables *tables = ((struct world *)context)->tables;
    bool settled = true;
    for (size_t i = 0; i < tables->moneys_len; i++) {
        const enum spending state = tables->moneys[i].state;
        settled =
            settled && state != SPENDING_RESERVED && state != SPENDING_DOUBTFUL;
    }
    return settled;
}
