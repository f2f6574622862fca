#include "edge/archive.h"

#include "fake/store.h"

#include <assert.h>
#include <stdlib.h>

/* lib/edge/archive.h over the tables in memory: a day is its number, an end is
 * as old as its row was settled. */

#define CALL_MS 5
#define BATCH_MAX 2 /* a few rows are several batches */

struct archive {
    struct loop *loop;
    struct list ops;
    bool elected;
};

struct archive_call {
    struct op op;
    struct archive *archive;
    void (*run)(struct archive_call *call);
    int64_t from_ms;
    int64_t to_ms;
    int64_t now_ms;
    store_done_fn *on_done;
    archive_look_fn *on_look;
    archive_batch_fn *on_batch;
    void *context;
    bool done;
    struct archive_look look;
    struct archive_batch batch;
};

static struct tables *tables_of(const struct archive *archive)
{
    return loop_world(archive->loop)->tables;
}

struct archive *archive_open(struct loop *loop,
                             const struct store_options *options,
                             struct err *err)
{
    (void)options;
    (void)err;
    struct archive *archive = calloc(1, sizeof *archive);
    assert(archive);
    archive->loop = loop;
    list_init(&archive->ops);
    return archive;
}

void archive_end(struct archive *archive)
{
    while (!list_is_empty(&archive->ops)) {
        op_end(LIST_OWNER(archive->ops.next, struct op, link));
    }
    if (archive->elected) {
        archive->elected = false;
        tables_of(archive)->archives--;
    }
}

void archive_close(struct archive *archive)
{
    if (archive) {
        archive_end(archive);
        free(archive);
    }
}

static void on_call(struct op *op)
{
    struct archive_call call = *(struct archive_call *)op;
    struct tables *tables = tables_of(call.archive);
    struct err err = {0};
    if (tables->down) {
        err_set(&err, ERR_TRANSIENT, "the connection broke");
    } else {
        call.run(&call);
    }
    op_end(op);
    const struct err *why = tables->down ? &err : NULL;
    if (call.on_done) {
        call.on_done(call.context, call.done && !why, why);
    } else if (call.on_look) {
        call.on_look(call.context, &call.look, why);
    } else {
        call.on_batch(call.context, &call.batch, why);
    }
}

static struct archive_call *call_of(struct archive *archive,
                                    void (*run)(struct archive_call *call),
                                    void *context)
{
    struct archive_call *call =
        op_new(archive->loop, &archive->ops, sizeof *call);
    call->archive = archive;
    call->run = run;
    call->context = context;
    op_on_loop(&call->op, CALL_MS, on_call);
    return call;
}

static void run_begin(struct archive_call *call)
{
    struct tables *tables = tables_of(call->archive);
    call->done = tables->archives == 0;
    if (call->done) {
        call->archive->elected = true;
        tables->archives++;
        tables->passes++;
    }
}

void archive_begin(struct archive *archive, store_done_fn *on_done,
                   void *context)
{
    assert(list_is_empty(&archive->ops) && !archive->elected);
    call_of(archive, run_begin, context)->on_done = on_done;
}

/** Ended, told, and not pruned. */
static bool is_history(const struct record_of *record)
{
    return record->closed && !record->waiting && !record->bare &&
           !record->pruned;
}

static void run_look(struct archive_call *call)
{
    const struct tables *tables = tables_of(call->archive);
    struct archive_look *look = &call->look;
    for (size_t i = 0; i < tables->len; i++) {
        const struct record_of *record = tables->records[i];
        int64_t ms = record->row.settled_ms;
        if (!is_history(record)) {
            continue;
        }
        if (!look->oldest_ms || ms < look->oldest_ms) {
            look->oldest_ms = ms;
        }
        if (ms >= call->from_ms && ms < call->to_ms && !record->counted &&
            !look->days_len) {
            look->days[look->days_len++] = ms / INT64_C(86400000);
        }
    }
}

void archive_look(struct archive *archive, int64_t from_ms, int64_t to_ms,
                  archive_look_fn *on_look, void *context)
{
    assert(archive->elected);
    struct archive_call *call = call_of(archive, run_look, context);
    call->on_look = on_look;
    call->from_ms = from_ms;
    call->to_ms = to_ms;
}

static void run_count(struct archive_call *call)
{
    const struct tables *tables = tables_of(call->archive);
    call->done = true;
    for (size_t i = 0; i < tables->len; i++) {
        struct record_of *record = tables->records[i];
        if (is_history(record) &&
            record->row.settled_ms / INT64_C(86400000) == call->from_ms) {
            record->counted = true;
        }
    }
}

void archive_count(struct archive *archive, int64_t day, int64_t now_ms,
                   store_done_fn *on_done, void *context)
{
    assert(archive->elected && now_ms > 0);
    struct archive_call *call = call_of(archive, run_count, context);
    call->on_done = on_done;
    call->from_ms = day;
}

static void run_prune(struct archive_call *call)
{
    const struct tables *tables = tables_of(call->archive);
    struct archive_batch *batch = &call->batch;
    for (size_t i = 0; i < tables->len && !batch->more; i++) {
        struct record_of *record = tables->records[i];
        int64_t ms = record->row.settled_ms;
        if (is_history(record) && ms >= call->from_ms && ms < call->to_ms) {
            record->pruned = true;
            batch->last_ms = ms;
            batch->more = ++batch->gone == BATCH_MAX;
        }
    }
}

void archive_prune(struct archive *archive, int64_t before_ms, int64_t from_ms,
                   int64_t now_ms, archive_batch_fn *on_batch, void *context)
{
    assert(archive->elected && now_ms > before_ms);
    struct archive_call *call = call_of(archive, run_prune, context);
    call->on_batch = on_batch;
    call->from_ms = from_ms;
    call->to_ms = before_ms;
}

static void run_forget(struct archive_call *call)
{
    struct tables *tables = tables_of(call->archive);
    for (size_t i = 0; tables->known_moved_ms <= call->to_ms && i < tables->len;
         i++) {
        struct record_of *record = tables->records[i];
        if (record->pruned && !record->forgotten &&
            record->row.received_ms < tables->known_from_ms) {
            record->forgotten = true;
            call->batch.gone++;
        }
    }
}

void archive_forget(struct archive *archive, int64_t settled_ms,
                    archive_batch_fn *on_batch, void *context)
{
    assert(archive->elected);
    struct archive_call *call = call_of(archive, run_forget, context);
    call->on_batch = on_batch;
    call->to_ms = settled_ms;
}

static void run_mark(struct archive_call *call)
{
    struct tables *tables = tables_of(call->archive);
    call->done = tables->known_from_ms < call->from_ms &&
                 tables->known_moved_ms <= call->to_ms;
    if (call->done) {
        tables->known_from_ms = call->from_ms;
        tables->known_moved_ms = call->now_ms;
    }
}

void archive_mark(struct archive *archive, int64_t known_from_ms,
                  int64_t now_ms, int64_t settled_ms, store_done_fn *on_done,
                  void *context)
{
    assert(archive->elected);
    struct archive_call *call = call_of(archive, run_mark, context);
    call->on_done = on_done;
    call->from_ms = known_from_ms;
    call->now_ms = now_ms;
    call->to_ms = settled_ms;
}
