#include "core/allot.h"
#include "core/apimart.h"
#include "fake/store_call.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lib/edge/store.h: tenants (sql/query/share_look.sql, share_use.sql,
 * claim_share.sql). */

bool tenants_share(const struct tables *tables)
{
    bool any = tables->tenants_len > 0;
    for (size_t i = 0; i < tables->leases_len && !any; i++) {
        any = tables->leases[i].shares && !tables->leases[i].dead;
    }
    return any;
}

static struct tenant_of *tenant_of(struct tables *tables, struct str name)
{
    for (size_t i = 0; i < tables->tenants_len; i++) {
        if (str_eq(str_of(tables->tenants[i].name), name)) {
            return &tables->tenants[i];
        }
    }
    return NULL;
}

void tables_tenant(struct world *world, const char *name, int weight, int slots)
{
    struct tables *tables = world->tables;
    struct tenant_of *tenant = tenant_of(tables, str_of(name));
    if (!tenant) {
        assert(tables->tenants_len < 64);
        tenant = &tables->tenants[tables->tenants_len++];
        snprintf(tenant->name, sizeof tenant->name, "%s", name);
    }
    tenant->weight = weight;
    tenant->slots = slots;
}

void tables_tenant_unset(struct world *world, const char *name)
{
    struct tables *tables = world->tables;
    struct tenant_of *tenant = tenant_of(tables, str_of(name));
    assert(tenant);
    *tenant = tables->tenants[--tables->tenants_len];
}

/* ---- what is occupied ---- */

static bool occupies(const struct record_of *record, int64_t now_ms)
{
    return is_in_task(record) && allot_counts(&record->row, now_ms);
}

static int of_tenant(const struct tables *tables, struct str tenant,
                     bool dead_only, int64_t now_ms)
{
    int n = 0;
    for (size_t i = 0; i < tables->len; i++) {
        const struct record_of *record = tables->records[i];
        const int64_t owner = record->row.owner;
        const bool dead =
            owner < 0 || (owner > 0 && !lease_is_alive(tables, owner));
        n += occupies(record, now_ms) && (dead || !dead_only) &&
             str_eq(record->request.tenant, tenant);
    }
    return n;
}

int tables_occupied(const struct world *world, const char *tenant)
{
    return of_tenant(world->tables, str_of(tenant), false,
                     world_clock_ms(world));
}

static struct use_of *use_of(struct tables *tables, int64_t lease,
                             struct str account, struct str tenant)
{
    for (size_t i = 0; i < tables->uses_len; i++) {
        struct use_of *use = &tables->uses[i];
        if (use->lease == lease && str_eq(str_of(use->account), account) &&
            str_eq(str_of(use->tenant), tenant)) {
            return use;
        }
    }
    return NULL;
}

static struct use_of *use_add(struct tables *tables, int64_t lease,
                              struct str account, struct str tenant)
{
    struct use_of *use = use_of(tables, lease, account, tenant);
    if (!use) {
        assert(tables->uses_len < USES_MAX);
        use = &tables->uses[tables->uses_len++];
        *use = (struct use_of){.lease = lease};
        snprintf(use->account, sizeof use->account, "%.*s", (int)account.len,
                 account.at);
        snprintf(use->tenant, sizeof use->tenant, "%.*s", (int)tenant.len,
                 tenant.at);
    }
    return use;
}

void share_use(struct tables *tables, int64_t lease,
               const struct record_of *record)
{
    use_add(tables, lease, apimart_account_name(record->row.account),
            record->request.tenant)
        ->n++;
}

void run_uses(struct tables *tables, const struct turn *turn)
{
    if (!turn->uses_told) {
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < tables->uses_len; i++) {
        if (tables->uses[i].lease != turn->owner || !turn->uses_all) {
            tables->uses[kept++] = tables->uses[i];
        }
    }
    tables->uses_len = kept;
    for (size_t i = 0; i < turn->uses_len; i++) {
        const struct share_use *use = &turn->uses[i];
        use_add(tables, turn->owner, str_of(use->account), str_of(use->tenant))
            ->n = use->n;
    }
}

static int held_of(const struct tables *tables, struct str tenant,
                   int64_t but_for)
{
    int n = 0;
    for (size_t i = 0; i < tables->uses_len; i++) {
        const struct use_of *use = &tables->uses[i];
        n += use->lease != but_for && lease_is_alive(tables, use->lease) &&
                     str_eq(str_of(use->tenant), tenant)
                 ? use->n
                 : 0;
    }
    return n;
}

/* ---- looks ---- */

static struct share_seen *seen_of(struct call *call, struct str tenant)
{
    for (size_t i = 0; i < call->look.len; i++) {
        if (str_eq(call->look.seen[i].tenant, tenant)) {
            return &call->look.seen[i];
        }
    }
    struct share_seen *seen = &call->look.seen[call->look.len++];
    const struct tenant_of *set = tenant_of(call->op.world->tables, tenant);
    *seen = (struct share_seen){
        .tenant = copy_str(&call->op.arena, tenant),
        .held = held_of(call->op.world->tables, tenant, call->look.ask.owner),
        .weight = set ? set->weight : 1,
        .slots = set ? set->slots : 0,
    };
    return seen;
}

static int by_name(const void *a, const void *b)
{
    const struct share_seen *one = a;
    const struct share_seen *other = b;
    return strcmp(one->tenant.at, other->tenant.at);
}

void run_tenants(struct call *call)
{
    const struct tables *tables = call->op.world->tables;
    call->look.len = 0;
    call->look.seen =
        arena_alloc(&call->op.arena, (tables->len + tables->uses_len + 1) *
                                         sizeof *call->look.seen);
    for (size_t i = 0; i < tables->len; i++) {
        const struct record_of *record = tables->records[i];
        if (record->waiting && !is_blocked(record) && !record->aside &&
            (!record->pinned || is_pinned_to(record, call->look.ask.accounts,
                                             call->look.ask.accounts_len)) &&
            record->row.not_before_ms <= call->look.ask.now_ms) {
            seen_of(call, record->request.tenant)->waits = true;
        }
    }
    for (size_t i = 0; i < tables->uses_len; i++) {
        const struct use_of *use = &tables->uses[i];
        if (use->n > 0 && use->lease != call->look.ask.owner &&
            lease_is_alive(tables, use->lease)) {
            seen_of(call, str_of(use->tenant));
        }
    }
    qsort(call->look.seen, call->look.len, sizeof *call->look.seen, by_name);
}

/* ---- claims ---- */

/** All that are alive claim by shares. */
static bool all_share(struct tables *tables)
{
    for (size_t i = 0; i < tables->leases_len; i++) {
        if (!tables->leases[i].dead &&
            !use_of(tables, tables->leases[i].id, STR(""), STR(""))) {
            return false;
        }
    }
    return true;
}

int share_left(struct tables *tables, const struct turn *turn,
               const struct share_ask *ask, bool locked)
{
    const struct str tenant = str_of(ask->tenant);
    const struct tenant_of *set = tenant_of(tables, tenant);
    if (!set || set->slots == 0) {
        return ask->n;
    }
    if (!locked || !all_share(tables)) {
        return 0;
    }
    const int left = set->slots - held_of(tables, tenant, 0) -
                     of_tenant(tables, tenant, true, turn->now_ms);
    return left < 0 ? 0 : left < ask->n ? left : ask->n;
}

void shares_hold(const struct tables *tables, const struct turn *turn)
{
    for (size_t i = 0; i < tables->tenants_len; i++) {
        const struct tenant_of *tenant = &tables->tenants[i];
        const int n =
            of_tenant(tables, str_of(tenant->name), false, turn->now_ms);
        (void)n;
        assert(tenant->slots == 0 || !tables->caps_hold || n <= tenant->slots);
    }
}
