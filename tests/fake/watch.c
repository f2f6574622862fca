#include "fake/watch.h"

#include "fake/bucket.h"
#include "fake/kafka.h"
#include "fake/provider.h"
#include "fake/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/** A row as it was a turn ago. */
struct was {
    int32_t fence;
    int32_t version;
    int32_t submission;
    int32_t attempt;
    bool closed;
    bool owed; /* accepted */
    char provider_task_id[256];
};

struct watch {
    struct world *world;
    struct was *rows;
    size_t rows_len;
    size_t sales_len;
    size_t committed;
    size_t objects_len;
    int64_t runs;
};

static const char *name_of(const struct record_of *record)
{
    return record->request.request_id.at ? record->request.request_id.at : "?";
}

/** accepted: that it was taken in; else an end. */
static bool is_told(const struct kafka *kafka, struct str request_id,
                    bool accepted)
{
    for (size_t i = 0; i < kafka->records_len; i++) {
        const struct record *record = &kafka->records[i];
        if (strcmp(record->topic, "pixverse.events") == 0 &&
            str_eq(str_of(record->key), request_id) &&
            !strstr(record->headers, "generation.accepted") == !accepted) {
            return true;
        }
    }
    return false;
}

static void look_at_row(struct watch *watch, size_t i)
{
    struct world *world = watch->world;
    const struct record_of *record = world->tables->records[i];
    const struct task_row *row = &record->row;
    struct was *was = &watch->rows[i];
    if (row->fence < was->fence || row->version < was->version) {
        world_fault(world, "its fence or version went back", name_of(record));
    }
    if (row->submission > was->submission) {
        was->submission = row->submission; /* an operator ordered another */
        was->attempt = 0;
        was->provider_task_id[0] = '\0';
        was->closed = false;
    }
    if (row->attempt > was->attempt) { /* the provider had no room */
        was->attempt = row->attempt;
        was->provider_task_id[0] = '\0';
    }
    if (was->provider_task_id[0] &&
        strncmp(was->provider_task_id, row->provider_task_id,
                sizeof was->provider_task_id - 1) != 0) {
        world_fault(world, "its provider id changed", name_of(record));
    }
    if (record->closed && !was->closed &&
        !is_told(world->kafka, record->request.request_id, false)) {
        world_fault(world, "closed, and nothing was told", name_of(record));
    }
    if (!record->owes_accepted && was->owed &&
        !is_told(world->kafka, record->request.request_id, true)) {
        world_fault(world, "accepted is owed no more, and nothing was told",
                    name_of(record));
    }
    if (!record->closed && was->closed && row->state != LATE) {
        world_fault(world, "open again, and not late", name_of(record));
    }
    was->fence = row->fence;
    was->version = row->version;
    was->closed = record->closed;
    was->owed = record->owes_accepted;
    if (!was->provider_task_id[0] && row->provider_task_id[0]) {
        snprintf(was->provider_task_id, sizeof was->provider_task_id, "%s",
                 row->provider_task_id);
    }
}

static void look_at_rows(struct watch *watch)
{
    const struct tables *tables = watch->world->tables;
    if (tables->len > watch->rows_len) {
        watch->rows = realloc(watch->rows, tables->len * sizeof *watch->rows);
        assert(watch->rows);
        memset(watch->rows + watch->rows_len, 0,
               (tables->len - watch->rows_len) * sizeof *watch->rows);
        watch->rows_len = tables->len;
    }
    for (size_t i = 0; i < tables->len; i++) {
        look_at_row(watch, i);
    }
}

static void look_at_sales(struct watch *watch)
{
    const struct provider *provider = watch->world->provider;
    /* Who says that it honours keys, and does not, is found out, not
     * stopped. */
    const bool lies =
        provider->told == KEYS_TOLD_YES && !provider->honours_keys;
    for (; watch->sales_len < provider->sales_len; watch->sales_len++) {
        const char *prompt = provider->sales[watch->sales_len]->prompt;
        if (!lies && provider_sold(provider, prompt) > 1) {
            world_fault(watch->world, "it was paid for twice", prompt);
        }
    }
}

static void look(void *context)
{
    struct watch *watch = context;
    struct world *world = watch->world;
    size_t committed = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        committed += world->kafka->partitions[p].committed;
    }
    if (committed != watch->committed) {
        watch->committed = committed;
        kafka_look(world);
    }
    if (world->storage->len < watch->objects_len) {
        world_fault(world, "an object is gone", "storage");
    }
    watch->objects_len = world->storage->len;
    look_at_sales(watch);
    if (world->tables->runs != watch->runs) {
        watch->runs = world->tables->runs;
        look_at_rows(watch);
    }
}

struct watch *watch_open(struct world *world)
{
    struct watch *watch = calloc(1, sizeof *watch);
    assert(watch);
    watch->world = world;
    world->on_turn = look;
    world->turn_context = watch;
    return watch;
}

void watch_close(struct watch *watch)
{
    watch->world->on_turn = NULL;
    free(watch->rows);
    free(watch);
}

/* ---- what struck ---- */

#define KINDS_MAX 64

static struct {
    const char *kind;
    long n;
} kinds[KINDS_MAX];

void struck(const char *kind)
{
    size_t i = 0;
    while (kinds[i].kind && strcmp(kinds[i].kind, kind) != 0) {
        i++;
        assert(i < KINDS_MAX);
    }
    kinds[i].kind = kind;
    kinds[i].n++;
}

void struck_write(FILE *out)
{
    for (size_t i = 0; i < KINDS_MAX && kinds[i].kind; i++) {
        fprintf(out, "%s\"simulated: %s\": %ld", i ? ", " : "", kinds[i].kind,
                kinds[i].n);
    }
}
