#include "edge/archive.h"

#include "edge/pg/lane.h"

#include <assert.h>
#include <stdlib.h>

/* Few enough that nobody waits for their locks; many enough that a million go
 * in a quarter of an hour. */
#define BATCH_MAX 500
#define STATEMENT_MS 600000 /* a day of a million rows is counted at once */
#define SILENCE_MS 605000

static const char *const queries[] = {
    "history_elect",
    "history_look",
    "history_begin_day",
    "history_clear_day",
    "history_count_day",
    "history_end_day",
    "history_prune",
    "history_replayed",
    "history_forget",
    "history_mark",
    NULL,
};

struct archive {
    struct loop *loop;
    struct store_options options; /* its texts outlive us */
    struct pg_lane *lane;         /* of the pass; null: none */
    struct loop_timer *hang_up;   /* a lane isn't closed from its callbacks */
    bool ending;
    bool begun; /* the lane was up, and is asked */
    int64_t max;
    struct archive_look look;
    store_done_fn *on_done; /* the call that is under way */
    archive_look_fn *on_look;
    archive_batch_fn *on_batch;
    void *context;
};

static void on_hang_up(void *context)
{
    struct archive *archive = context;
    struct pg_lane *lane = archive->lane;
    archive->ending = true; /* what it ends now is nobody's */
    archive->lane = NULL;
    pg_lane_close(lane);
    archive->ending = false;
}

struct archive *archive_open(struct loop *loop,
                             const struct store_options *options,
                             struct err *err)
{
    assert(options->url && options->lease_ms > 0);
    struct archive *archive = calloc(1, sizeof *archive);
    if (archive) {
        *archive = (struct archive){.loop = loop, .options = *options};
        archive->hang_up = loop_timer_new(loop, on_hang_up, archive);
    }
    if (!archive || !archive->hang_up) {
        free(archive);
        err_set(err, ERR_FATAL, "no memory for the archive");
        return NULL;
    }
    return archive;
}

void archive_close(struct archive *archive)
{
    if (archive) {
        on_hang_up(archive);
        loop_timer_free(archive->hang_up);
        free(archive);
    }
}

void archive_end(struct archive *archive)
{
    archive->ending = true;
    loop_timer_set(archive->hang_up, 0);
}

/* ---- calls ---- */

static void add_call(struct pg_unit *unit, const char *query,
                     const int64_t *numbers, size_t len)
{
    assert(len > 0);
    pg_unit_call(unit, query);
    for (size_t i = 0; i < len; i++) {
        pg_unit_i64(unit, numbers[i]);
    }
}

static void send(struct archive *archive, struct pg_unit *unit, void *context)
{
    assert(archive->lane && !archive->ending);
    archive->context = context;
    pg_lane_send(archive->lane, unit);
}

static void tell_done(struct archive *archive, bool done, const struct err *err)
{
    store_done_fn *on_done = archive->on_done;
    archive->on_done = NULL;
    if (on_done && !archive->ending) {
        on_done(archive->context, done, err);
    }
}

/** The first cell of the last statement, where it gave a row. */
static void on_done(void *context, struct pg_unit *unit)
{
    struct archive *archive = context;
    bool fine = unit->err.kind == ERR_NONE;
    const PGresult *last = fine ? unit->results[unit->calls_len - 1] : NULL;
    tell_done(archive, last && PQntuples(last) > 0, fine ? NULL : &unit->err);
}

static void on_elected(void *context, struct pg_unit *unit)
{
    struct archive *archive = context;
    bool fine = unit->err.kind == ERR_NONE;
    tell_done(archive, fine && pg_bool(unit->results[0], 0, 0),
              fine ? NULL : &unit->err);
}

static void on_lane(void *context, bool up, const char *why, bool misfit)
{
    struct archive *archive = context;
    (void)misfit; /* the store's lanes tell */
    if (archive->ending) {
        return;
    }
    if (up && !archive->begun) {
        archive->begun = true;
        struct pg_unit *unit = pg_unit_new(on_elected, archive);
        pg_unit_call(unit, "history_elect");
        pg_lane_send(archive->lane, unit);
    } else if (!up && !archive->begun) {
        struct err err;
        err_set(&err, ERR_TRANSIENT, "%s", why);
        tell_done(archive, false, &err);
    } /* else what is under way ends, and tells */
}

void archive_begin(struct archive *archive, store_done_fn *callback,
                   void *context)
{
    assert(callback && !archive->on_done);
    if (archive->lane) {
        on_hang_up(archive); /* the pass before has just ended */
    }
    loop_timer_stop(archive->hang_up);
    const struct store_options *o = &archive->options;
    const struct pg_lane_options options = {
        .address = {o->url, o->password, o->name},
        .queries = queries,
        .statement_ms = STATEMENT_MS,
        .silence_ms = SILENCE_MS,
        .lease_ms = o->lease_ms,
        .again_max_ms = o->lease_ms,
    };
    struct err err = {0};
    archive->ending = false;
    archive->begun = false;
    archive->on_done = callback;
    archive->context = context;
    archive->lane =
        pg_lane_open(archive->loop, &options, on_lane, archive, &err);
    assert(archive->lane);
}

static void on_look(void *context, struct pg_unit *unit)
{
    struct archive *archive = context;
    struct archive_look *look = &archive->look;
    bool fine = unit->err.kind == ERR_NONE;
    *look = (struct archive_look){0};
    for (int i = 0; fine && i < PQntuples(unit->results[0]); i++) {
        const PGresult *result = unit->results[0];
        look->oldest_ms = pg_i64(result, i, 0);
        look->counted_ms = pg_i64(result, i, 1);
        if (!PQgetisnull(result, i, 2) && look->days_len < ARCHIVE_DAYS_MAX) {
            look->days[look->days_len++] = pg_i64(result, i, 2);
        }
    }
    if (!archive->ending) {
        archive->on_look(archive->context, look, fine ? NULL : &unit->err);
    }
}

void archive_look(struct archive *archive, int64_t from_ms, int64_t to_ms,
                  archive_look_fn *callback, void *context)
{
    assert(callback && from_ms <= to_ms);
    struct pg_unit *unit = pg_unit_new(on_look, archive);
    const int64_t numbers[] = {from_ms, to_ms, ARCHIVE_DAYS_MAX};
    archive->on_look = callback;
    add_call(unit, "history_look", numbers, 3);
    send(archive, unit, context);
}

static void on_part(void *context, struct pg_unit *unit)
{
    struct archive *archive = context;
    if (unit->err.kind != ERR_NONE) {
        tell_done(archive, false, &unit->err);
    }
}

void archive_count(struct archive *archive, int64_t day, int64_t now_ms,
                   store_done_fn *callback, void *context)
{
    /* Three transactions, so that whoever changes that day waits for none of
     * them, and each sees what the one before could not. */
    static const char *const steps[] = {"history_begin_day",
                                        "history_clear_day", "history_end_day"};
    const int64_t numbers[] = {day, now_ms};
    assert(callback);
    archive->on_done = callback;
    for (size_t i = 0; i < 3; i++) {
        struct pg_unit *unit = pg_unit_new(i < 2 ? on_part : on_done, archive);
        add_call(unit, steps[i], numbers, i < 2 ? 1 : 2);
        if (i == 1) {
            add_call(unit, "history_count_day", numbers, 1);
        }
        send(archive, unit, context);
    }
}

static void tell_batch(struct archive *archive, const struct pg_unit *unit,
                       const struct archive_batch *batch)
{
    if (!archive->ending) {
        archive->on_batch(archive->context, batch,
                          unit->err.kind == ERR_NONE ? NULL : &unit->err);
    }
}

static void on_pruned(void *context, struct pg_unit *unit)
{
    struct archive_batch batch = {0};
    if (unit->err.kind == ERR_NONE) {
        const PGresult *result = unit->results[0];
        batch = (struct archive_batch){
            .gone = pg_i64(result, 0, 1),
            .more = pg_i64(result, 0, 0) >= BATCH_MAX,
            .last_ms = pg_i64(result, 0, 2),
        };
    }
    tell_batch(context, unit, &batch);
}

void archive_prune(struct archive *archive, int64_t before_ms, int64_t from_ms,
                   int64_t now_ms, archive_batch_fn *callback, void *context)
{
    assert(callback && before_ms > 0);
    struct pg_unit *unit = pg_unit_new(on_pruned, archive);
    const int64_t numbers[] = {before_ms, from_ms, BATCH_MAX, now_ms};
    archive->on_batch = callback;
    add_call(unit, "history_prune", numbers, 4);
    add_call(unit, "history_replayed", numbers, 1);
    send(archive, unit, context);
}

static void on_forgotten(void *context, struct pg_unit *unit)
{
    struct archive_batch batch = {0};
    if (unit->err.kind == ERR_NONE) {
        batch.gone = pg_i64(unit->results[0], 0, 0);
        batch.more = batch.gone >= BATCH_MAX;
    }
    tell_batch(context, unit, &batch);
}

void archive_forget(struct archive *archive, int64_t settled_ms,
                    archive_batch_fn *callback, void *context)
{
    assert(callback);
    struct pg_unit *unit = pg_unit_new(on_forgotten, archive);
    const int64_t numbers[] = {BATCH_MAX, settled_ms};
    archive->on_batch = callback;
    add_call(unit, "history_forget", numbers, 2);
    send(archive, unit, context);
}

void archive_mark(struct archive *archive, int64_t known_from_ms,
                  int64_t now_ms, int64_t settled_ms, store_done_fn *callback,
                  void *context)
{
    assert(callback && known_from_ms > 0);
    struct pg_unit *unit = pg_unit_new(on_done, archive);
    const int64_t numbers[] = {known_from_ms, now_ms, settled_ms};
    archive->on_done = callback;
    add_call(unit, "history_mark", numbers, 3);
    send(archive, unit, context);
}
