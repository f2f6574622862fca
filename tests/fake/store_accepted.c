#include "fake/store_call.h"

#include <assert.h>
#include <string.h>

/* lib/edge/accepted.h: what is to be told of requests that were taken in. */

static bool is_owed_by(const struct call *call, const struct record_of *record)
{
    const struct accepted_ask *ask = &call->accepted.ask;
    return record->owes_accepted &&
           (record->accepted_owner == ask->owner ||
            (ask->orphans &&
             !lease_is_alive(call->op.world->tables, record->accepted_owner)));
}

static void run_accepted(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    const struct accepted_ask *ask = &call->accepted.ask;
    struct facts_row *rows =
        arena_alloc(&call->op.arena, ACCEPTED_MAX * sizeof *rows);
    size_t len = 0;
    for (size_t i = 0; i < ask->told_len; i++) {
        record_at(tables, ask->told[i])->owes_accepted = false;
    }
    for (size_t i = 0; i < tables->len && len < ACCEPTED_MAX; i++) {
        const struct record_of *record = tables->records[i];
        const struct intake_row *request = &record->request;
        if (!is_owed_by(call, record)) {
            continue;
        }
        rows[len++] = (struct facts_row){
            .id = record->row.id,
            .facts = {.request_id = request->request_id,
                      .tenant =
                          record->pruned ? (struct str){0} : request->tenant,
                      .mode = request->mode,
                      .metadata = request->metadata,
                      .warnings = request->warnings,
                      .traceparent = request->traceparent,
                      .tracestate = request->tracestate,
                      .received_ms = request->received_ms},
        };
    }
    call->accepted.result.rows = rows;
    call->accepted.result.len = len;
}

static void answer_accepted(struct call *call)
{
    call->accepted.result.err = call->err;
    call->on_accepted(call->context, &call->accepted.result);
}

void store_accepted(struct store *store, const struct accepted_ask *ask,
                    accepted_fn *on_result, void *context)
{
    struct call *call = call_new(store, run_accepted, answer_accepted, context);
    int64_t *told =
        arena_alloc(&call->op.arena, (ask->told_len + 1) * sizeof *told);
    if (ask->told_len) {
        memcpy(told, ask->told, ask->told_len * sizeof *told);
    }
    call->on_accepted = on_result;
    call->unit = UNIT_ACCEPTED;
    call->accepted.ask = *ask;
    call->accepted.ask.told = told;
    call_go(call, LANE_DATA);
}
