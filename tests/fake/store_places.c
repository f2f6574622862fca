#include "core/allot.h"
#include "core/apimart.h"
#include "fake/store_call.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* lib/edge/store.h: places under the fleet's limit (sql/query/places.sql). */

/** Of that owner's rows; -1: all. Not those that took a place before, gave it
 * back for their age, and were sent again since: no claim let them in. */
static int counting(const struct tables *tables, int64_t owner, int64_t now_ms)
{
    int count = 0;
    for (size_t i = 0; i < tables->len; i++) {
        const struct task_row *row = &tables->records[i]->row;
        count +=
            is_in_task(tables->records[i]) && !tables->records[i]->uninvited &&
            (owner < 0 || row->owner == owner) && allot_counts(row, now_ms) &&
            row->first_sent_ms > now_ms - ALLOT_COUNTS_MS;
    }
    return count;
}

static int places_taken(const struct tables *tables)
{
    int taken = 0;
    for (size_t i = 0; i < tables->leases_len; i++) {
        const struct lease_of *lease = &tables->leases[i];
        const int64_t lapses_ms = lease->bumped_ms + ALLOT_COUNTS_MS + 5000;
        if (!lease->forgotten &&
            (!lease->dead || world_clock_ms(tables->world) < lapses_ms)) {
            taken += lease->places;
        }
    }
    return taken;
}

void run_places(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    const struct places *ask = &call->places.ask;
    struct places_result *result = &call->places.result;
    for (size_t i = 0; i < tables->len && !result->waits; i++) {
        const struct record_of *record = tables->records[i];
        result->waits =
            record->waiting && !is_blocked(record) && !record->aside &&
            (record->pinned
                 ? is_pinned_to(record, ask->accounts, ask->accounts_len)
                 : record->row.id > ask->claim_after[record->request.priority]);
    }
    result->busy = tables->taking_busy > 0;
    tables->taking_busy -= result->busy;
    if (!result->waits || result->busy || !lease_is_alive(tables, ask->owner)) {
        return;
    }
    const int free = ask->most - places_taken(tables);
    result->got = free < ask->more ? free : ask->more;
    result->got = result->got > 0 ? result->got : 0;
    tables->leases[ask->owner - 1].places += result->got;
    tables->most = ask->most;
}

/** A row that takes a place has it with it, from its owner or from nowhere. */
void places_bring(struct tables *tables, const struct task_row *row,
                  const struct turn *turn)
{
    struct lease_of *from =
        row->owner > 0 ? &tables->leases[row->owner - 1] : NULL;
    if (!allot_counts(row, turn->now_ms)) {
        return;
    }
    if (from && from->places > 0) {
        from->places--;
    } else {
        tables->uninvited++;
    }
    tables->leases[turn->owner - 1].places++;
}

void places_hold(struct tables *tables, const struct turn *turn)
{
    /* What the limit promises: by no claim is it exceeded. */
    const int places = tables->leases[turn->owner - 1].places;
    assert(counting(tables, turn->owner, turn->now_ms) <= places);
    assert(places_taken(tables) <= tables->most + tables->uninvited);
    assert(counting(tables, -1, turn->now_ms) <=
           tables->most + tables->uninvited);
}

/* ---- accounts ---- */

struct account_of_all *find_account(struct tables *tables, const char *account)
{
    for (size_t i = 0; i < tables->accounts_len; i++) {
        if (strcmp(tables->accounts[i].account, account) == 0) {
            return &tables->accounts[i];
        }
    }
    return NULL;
}

struct account_of_all *made_account(struct tables *tables, const char *account)
{
    struct account_of_all *there = find_account(tables, account);
    if (!there) {
        assert(tables->accounts_len < KEYS_MAX);
        there = &tables->accounts[tables->accounts_len++];
        *there =
            (struct account_of_all){.since_ms = world_clock_ms(tables->world)};
        snprintf(there->account, sizeof there->account, "%s", account);
    }
    return there;
}

/** The first of a name says where it is. */
void note_account(struct tables *tables, const struct join_account *join)
{
    const struct account_of_all *first = NULL;
    struct account_of_all *account = made_account(tables, join->account);
    for (size_t i = 0; i < tables->accounts_len && !first; i++) {
        const struct account_of_all *at = &tables->accounts[i];
        const bool same = str_eq(apimart_account_name(at->account), join->name);
        first = same && at->url[0] ? at : NULL;
    }
    if (first && first != account) {
        memcpy(account->url, first->url, sizeof account->url);
        account->limit = first->limit;
    } else if (!first) {
        snprintf(account->url, sizeof account->url, "%.*s", (int)join->url.len,
                 join->url.at);
    }
}

static void run_limit(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    for (size_t i = 0; i < tables->accounts_len; i++) {
        struct account_of_all *account = &tables->accounts[i];
        if (str_eq(apimart_account_name(account->account), call->small.text) &&
            account->limit.changed_ms == call->small.at_ms) {
            account->limit = call->small.limit;
            call->small.done = true;
        }
    }
    tables->limits_written += call->small.done;
}

void store_limit(struct store *store, const struct limit_write *write,
                 store_done_fn *on_done, void *context)
{
    struct call *call = call_new(store, run_limit, call_answer_done, context);
    assert(write->next.changed_ms > write->was_ms);
    assert(write->next.slots == 0 || write->next.slots < write->ceiling);
    call->on_done = on_done;
    call->small.text = copy_str(&call->op.arena, write->name);
    call->small.limit = write->next;
    call->small.at_ms = write->was_ms;
    call_go(call, LANE_DATA);
}
