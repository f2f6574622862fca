#include "flow/batch.h"

#include "core/event.h"
#include "core/trace.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/** Raw and read, as rows and as what goes to the store, each of its bytes is
 * there several times, and two batches are. */
#define BATCH_BYTES_MAX 2000000
/** Beyond the 2 s that READY may be unsaved, and the time of that commit. */
#define SOURCE_WAIT_MS 5000

static_assert(REQUEST_ACCOUNT_MAX == ACCOUNT_NAME_BYTES - 1,
              "an account's name, in a message and in its setting");

void batch_init(struct batch *batch, const struct clock *clock,
                const struct accounts *accounts, const struct price_book *book,
                struct metrics *metrics)
{
    assert(clock && book && metrics && accounts->len > 0);
    *batch = (struct batch){.clock = clock, .accounts = accounts, .book = book};
    list_init(&batch->items);
    arena_init(&batch->arena, 65536, 0);
    batch->invalid =
        metric_get(metrics, METRIC_COUNTER, "pixverse_invalid_total", NULL,
                   "Requests that failed validation.");
}

void batch_done(struct batch *batch)
{
    arena_done(&batch->arena);
}

bool batch_is_full(const struct batch *batch)
{
    return batch->len >= BATCH_MAX || batch->bytes >= BATCH_BYTES_MAX;
}

/** Where it is, or may be put: at most half of the places are taken. */
static size_t place_of(const struct batch *batch, uint64_t hash)
{
    const size_t len = sizeof batch->ids / sizeof *batch->ids;
    size_t at = (size_t)(hash % len);
    while (batch->ids[at] && batch->ids[at] != hash) {
        at = (at + 1) % len;
    }
    return at;
}

bool batch_has(const struct batch *batch, struct str request_id)
{
    return batch->ids[place_of(batch, item_id_hash(request_id))] != 0;
}

void batch_add(struct batch *batch, struct item *item)
{
    assert(item->request.reject == REQUEST_NAMED && !batch_is_full(batch));
    const uint64_t hash = item_id_hash(item->request.request_id);
    batch->ids[place_of(batch, hash)] = hash;
    list_add_tail(&batch->items, &item->link);
    batch->len++;
    batch->bytes += item->bytes;
}

struct item *batch_pop(struct batch *batch)
{
    assert(list_is_empty(&batch->items) == (batch->len == 0));
    if (!batch->len) {
        return NULL;
    }
    batch->len--;
    if (!batch->len) {
        batch->bytes = 0;
        memset(batch->ids, 0, sizeof batch->ids);
    }
    return LIST_OWNER(list_pop(&batch->items), struct item, link);
}

void batch_begin(struct batch *batch)
{
    arena_reset(&batch->arena);
}

/* ---- sources ---- */

bool batch_sources(struct batch *batch, const struct str **ids, size_t *len)
{
    struct str *all = arena_alloc(&batch->arena, batch->len * sizeof *all);
    *len = 0;
    *ids = all;
    for (struct list *at = batch->items.next; all && at != &batch->items;
         at = at->next) {
        const struct item *item = LIST_OWNER(at, struct item, link);
        if (item->request.extend_from_task_id.at) {
            all[(*len)++] = item->request.extend_from_task_id;
        }
    }
    return all != NULL;
}

static bool may_get_finished(const struct batch *batch, struct item *item)
{
    const int64_t boot_ms = clock_boot_ms(batch->clock);
    if (!item->source_until_ms) {
        item->source_until_ms = boot_ms + SOURCE_WAIT_MS;
    }
    return boot_ms < item->source_until_ms;
}

static void put_aside(struct batch *batch, struct item *item,
                      struct aside *aside)
{
    assert(batch->len > 0 && batch->bytes >= item->bytes);
    list_remove(&item->link);
    batch->len--;
    batch->bytes -= item->bytes;
    aside_add(aside, item);
    if (!batch->len) {
        memset(batch->ids, 0, sizeof batch->ids);
    }
}

static void judge_state(struct item *item, enum source_state state)
{
    if (state == SOURCE_FAILED || state == SOURCE_UNFINISHED) {
        request_add_fault(
            &item->request, &item->arena, "extend_from_task_id", "not_allowed",
            state == SOURCE_FAILED ? "extend_from_task_id names a task that "
                                     "failed, allowed: a completed one"
                                   : "extend_from_task_id names a task that is "
                                     "not finished, allowed: a completed one");
    }
}

/** What is not known to be ours: the request says who has it. */
static void judge_foreign(const struct batch *batch, struct item *item)
{
    struct request *request = &item->request;
    const struct accounts *accounts = batch->accounts;
    const struct str usual =
        accounts->len == 1 ? str_of(accounts->at[0].name) : STR("default");
    const bool given = request->account.at != NULL;
    if (!given) {
        request->account = usual;
    }
    if (accounts_named(accounts, request->account) < accounts->len) {
        return;
    }
    request_add_fault(
        request, &item->arena, "account", given ? "not_allowed" : "required",
        given ? "account names none of ours, allowed: one of APIMART_ACCOUNTS "
                "(pixverse-ctl account list)"
              : "account is missing: extend_from_task_id names a task that is "
                "no request's of ours, and none of our accounts is called "
                "default, allowed: the account that has that task");
}

/** Where it goes, and that it can. */
static void judge(const struct batch *batch, struct item *item,
                  const struct source *source)
{
    struct request *request = &item->request;
    const struct str said = request->account;
    judge_state(item, source->state);
    if (!source->account.at) {
        judge_foreign(batch, item);
        return;
    }
    snprintf(item->account, sizeof item->account, "%.*s",
             (int)source->account.len, source->account.at);
    request->account = str_of(item->account);
    if (said.at && !str_eq(said, source->account)) {
        request_add_warning(request, &item->arena, "account", "no_effect",
                            "account is another one than has the task: it "
                            "goes to that");
    }
}

void batch_judge(struct batch *batch, const struct source *sources, size_t len,
                 struct aside *aside)
{
    static const struct source none = {0};
    size_t i = 0;
    struct list *next;
    for (struct list *at = batch->items.next; at != &batch->items; at = next) {
        struct item *item = LIST_OWNER(at, struct item, link);
        next = at->next;
        const bool extends = item->request.extend_from_task_id.at;
        assert(!extends || i < len);
        const struct source *source = extends ? &sources[i++] : &none;
        /* Faulty: judged in an earlier try, or anyway. */
        const bool faulty = item->request.faults.len > 0;
        if (aside_is_before(aside, item) ||
            (!faulty && source->state == SOURCE_UNFINISHED &&
             may_get_finished(batch, item))) {
            put_aside(batch, item, aside);
        } else if (!faulty && extends) {
            judge(batch, item, source);
        }
    }
}

/* ---- verdicts ---- */

enum request_reject batch_refusal(enum intake_verdict verdict, struct str *why)
{
    static const struct {
        enum request_reject as;
        const char *why;
    } rows[] = {
        [INTAKE_NEW] = {REQUEST_NAMED, NULL},
        [INTAKE_REPEAT] = {REQUEST_NAMED, NULL},
        [INTAKE_REUSED] = {REQUEST_ID_REUSED, NULL},
        [INTAKE_TOO_OLD] = {REQUEST_TOO_OLD,
                            "no such id is known, and what was produced then "
                            "may have been bought and forgotten (IDS_DAYS)"},
        [INTAKE_POISON] = {REQUEST_NOT_JSON, "PostgreSQL refuses its data"},
        [INTAKE_CANCELLED] = {REQUEST_NAMED, NULL},
        [INTAKE_CANCEL_KEPT] = {REQUEST_NAMED, NULL},
        [INTAKE_CANCEL_TENANT] = {REQUEST_CANCEL_TENANT,
                                  "the request of that id is another tenant's"},
        [INTAKE_CANCEL_LATE] = {REQUEST_CANCEL_LATE,
                                "the request has ended, or is finished "
                                "upstream and paid for"},
    };
    assert((size_t)verdict < sizeof rows / sizeof *rows);
    *why = rows[verdict].why ? str_of(rows[verdict].why) : *why;
    return rows[verdict].as;
}

/* ---- rows ---- */

/** The first of that name that is well formed: one that isn't is dropped, never
 * the request. */
static struct str header_of(const struct message *message, const char *name,
                            bool (*fits)(struct str value))
{
    for (size_t i = 0; i < message->headers_len; i++) {
        if (str_eq_nocase(message->headers[i].name, str_of(name)) &&
            fits(message->headers[i].value)) {
            return message->headers[i].value;
        }
    }
    return (struct str){0};
}

static struct str event_of_faulty(struct batch *batch, struct item *item,
                                  const struct intake_row *row)
{
    const struct task_row task = {
        .state = FAILED,
        .kind = FAILURE_INVALID_REQUEST,
        .received_ms = row->received_ms,
        .settled_ms = row->received_ms,
    };
    const struct facts facts = {
        .request_id = row->request_id,
        .tenant = row->tenant,
        .mode = row->mode,
        .metadata = row->metadata,
        .warnings = row->warnings,
        .traceparent = row->traceparent,
        .tracestate = row->tracestate,
        .received_ms = row->received_ms,
    };
    const struct failure failure = {
        .kind = FAILURE_INVALID_REQUEST,
        .message = item->request.faults.items[0].message,
    };
    metric_add(batch->invalid, 1);
    return str_of(event_render(&task, &facts, &failure, &item->request.faults,
                               NULL, 0, NULL, &batch->arena));
}

/** false: no memory. */
static bool fill_row(struct batch *batch, struct item *item,
                     struct intake_row *row)
{
    const struct request *request = &item->request;
    if (request->cancel) {
        *row = (struct intake_row){
            .request_id = request->request_id,
            .tenant = request->tenant,
            .received_ms = clock_now_ms(batch->clock),
            .produced_ms = item->message->produced_ms,
            .cancel = true,
        };
        return true;
    }
    *row = (struct intake_row){
        .request_id = request->request_id,
        .tenant = request->tenant,
        .mode = request->mode,
        .priority = request->priority,
        .deadline_seconds = request->deadline_seconds,
        .metadata = request->metadata,
        .warnings = details_to_json(&request->warnings, &batch->arena),
        .traceparent =
            header_of(item->message, "traceparent", trace_parent_fits),
        .body = request->body,
        .source = request->extend_from_request_id,
        .account = request->account,
        .price = PRICE_UNKNOWN,
        .received_ms = clock_now_ms(batch->clock),
        .produced_ms = item->message->produced_ms,
    };
    if (row->traceparent.at) { /* without it the state says nothing */
        row->tracestate =
            header_of(item->message, "tracestate", trace_state_fits);
    }
    memcpy(row->content, request->content, sizeof row->content);
    if (request->faults.len) {
        row->body = (struct str){0};
        row->source = row->account = (struct str){0};
        row->event = event_of_faulty(batch, item, row);
        return row->event.at != NULL;
    }
    row->price = price_of(&batch->book->prices, &request->like);
    return true;
}

const struct intake_row *batch_rows(struct batch *batch)
{
    assert(batch->len > 0 && batch->clock->known);
    struct intake_row *rows =
        arena_alloc(&batch->arena, batch->len * sizeof *rows);
    size_t len = 0;
    bool fine = rows != NULL;
    for (struct list *at = batch->items.next; rows && at != &batch->items;
         at = at->next) {
        fine =
            fill_row(batch, LIST_OWNER(at, struct item, link), &rows[len++]) &&
            fine;
    }
    return fine && !batch->arena.failed ? rows : NULL;
}
