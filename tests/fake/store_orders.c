#include "core/apimart.h"
#include "fake/store.h"

#include <assert.h>
#include <string.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What pixverse-ctl writes when an operator orders something. */

/** Rows of a dead lease wake those who take over (sql/query/ctl_wake.sql). */
static int64_t dead_lease(struct tables *tables)
{
    tables->leases = realloc(tables->leases, (tables->leases_len + 1) *
                                                 sizeof(*tables->leases));
    assert(tables->leases);
    struct lease_of *lease = &tables->leases[tables->leases_len++];
    *lease = (struct lease_of){.id = (int64_t)tables->leases_len, .dead = true};
    return lease->id;
}

bool cancel_record(struct record_of *record)
{
    if (record->closed || record->row.state == READY ||
        record->row.state == SUCCEEDED || record->row.state == FAILED) {
        return false;
    }
    record->cancel = true;
    record->ordered = true;
    return true;
}

bool tables_keeps(const struct tables *tables, const char *request_id)
{
    for (size_t i = 0; i < tables->earlies_len; i++) {
        if (strcmp(tables->earlies[i].request_id, request_id) == 0) {
            return true;
        }
    }
    return false;
}

bool tables_cancel(struct world *world, const char *request_id)
{
    struct record_of *record = record_named(world->tables, str_of(request_id));
    return record && cancel_record(record);
}

bool tables_attach(struct world *world, const char *request_id,
                   const char *provider_task_id)
{
    struct record_of *record = record_named(world->tables, str_of(request_id));
    struct task_row *row = record ? &record->row : NULL;
    if (!row || row->provider_task_id[0] || !row->first_sent_ms ||
        ((record->closed || row->state == FAILED) &&
         row->kind != FAILURE_SUBMIT_UNKNOWN)) {
        return false;
    }
    if (record->closed) {
        keep_past(record, provider_task_id);
    }
    snprintf(row->provider_task_id, sizeof row->provider_task_id, "%s",
             provider_task_id);
    if (record->closed) {
        record->closed = false;
        row->state = LATE;
        row->late = true;
        row->owner = dead_lease(world->tables);
        row->fence += 1;
        row->version += 1;
        row->submitted_ms = world_clock_ms(world);
    } else if (row->state == QUEUED) {
        learn_queued(record, dead_lease(world->tables));
    }
    return true;
}

bool tables_retry(struct world *world, const char *request_id)
{
    struct record_of *record = record_named(world->tables, str_of(request_id));
    if (!record || !record->closed || !record->request.body.at) {
        return false;
    }
    const struct task_row old = record->row;
    int64_t deadline_s = record->request.deadline_seconds;
    keep_past(record, old.provider_task_id);
    task_row_done(&record->row);
    record->row = (struct task_row){
        .id = old.id,
        .state = QUEUED,
        .fence = old.fence + 1,
        .version = old.version + 1,
        .submission = old.submission + 1,
        .received_ms = old.received_ms,
        .deadline_ms =
            deadline_s ? world_clock_ms(world) + deadline_s * 1000 : 0,
    };
    record->closed = false;
    record->waiting = true;
    record->waits_until_ms = 0;
    record->expires_ms = record->row.deadline_ms;
    pin(record, record->request.account);
    if (record->request.source.at) { /* it is looked for anew */
        record->row.not_before_ms = world_clock_ms(world);
    }
    return true;
}

/* ---- may it be claimed? ---- */

bool is_held(const struct tables *tables, const struct turn *turn)
{
    for (size_t i = 0; i < tables->holds_len; i++) {
        const struct hold_of *hold = &tables->holds[i];
        const char *scope = hold->reason == HOLD_STORAGE    ? turn->bucket
                            : hold->reason == HOLD_OPERATOR ? hold->scope
                                                            : turn->account;
        if (strcmp(hold->scope, scope) == 0) {
            return true;
        }
    }
    return false;
}

bool is_pinned_to(const struct record_of *record, const struct str *names,
                  size_t len)
{
    bool is = false;
    for (size_t i = 0; record->pinned && i < len; i++) {
        is = is || str_eq(str_of(record->pinned), names[i]);
    }
    return is;
}

void pin(struct record_of *record, struct str name)
{
    free(record->pinned);
    record->pinned = name.len ? strndup(name.at, name.len) : NULL;
}

/** Of what was perhaps sent before the database was set back: nobody else can
 * have sent it. */
bool is_certain(const struct tables *tables, const struct turn *turn)
{
    return tables->accounts_len == 1 &&
           strcmp(tables->accounts[0].account, turn->account) == 0;
}

bool is_blocked(const struct record_of *record)
{
    return record->waiting && record->request.source.at &&
           !record->row.source_task_id;
}

bool waited_for_long(const struct record_of *record, const struct turn *turn)
{
    return record->row.not_before_ms <= turn->now_ms - turn->chain_wait_ms;
}

/** What the provider calls it, once it is finished there; null, and over: it
 * has nothing to extend. */
static const char *made_of(const struct record_of *source, bool *over)
{
    const struct task_row *row = &source->row;
    const bool ended = source->closed || source->bare || source->pruned;
    const bool made = ended ? row->kind == FAILURE_NONE ||
                                  row->kind == FAILURE_ASSET_EXPIRED ||
                                  row->kind == FAILURE_ASSET_UNUSABLE
                            : is_in_task(source) && row->state == READY;
    *over = ended;
    return made && !source->pruned && row->provider_task_id[0]
               ? row->provider_task_id
               : NULL;
}

/** One that waits. */
static void unblock(struct record_of *record, const struct record_of *source,
                    struct unblocked *out)
{
    bool over = false;
    const char *id = source ? made_of(source, &over) : NULL;
    if (record->row.kind != FAILURE_NONE || (!id && !over)) {
        return;
    }
    if (id && str_eq(record->request.tenant, source->request.tenant)) {
        record->row.source_task_id = strdup(id);
        record->row.not_before_ms = 0;
        pin(record, apimart_account_name(source->row.account));
        out->freed++;
    } else {
        record->row.kind = FAILURE_SOURCE_FAILED;
        out->marked++;
    }
}

void run_unblock_named(struct tables *tables, struct str source)
{
    const struct record_of *record = record_named(tables, source);
    struct unblocked news = {0};
    if (record) {
        run_unblock(tables, record, &news);
    }
}

void run_unblock(struct tables *tables, const struct record_of *source,
                 struct unblocked *out)
{
    if (source && tables->blind && world_chance(tables->world, tables->blind)) {
        return; /* two transactions that don't see each other */
    }
    for (size_t i = 0; i < tables->len; i++) {
        struct record_of *record = tables->records[i];
        if (!is_blocked(record)) {
            continue;
        }
        if (!source) {
            unblock(record, record_named(tables, record->request.source), out);
        } else if (str_eq(record->request.source, source->request.request_id)) {
            unblock(record, source, out);
        }
    }
}
