/* tests/run: plain timeout=2400 */
#include "sim/budgets.h"
#include "sim/ends.h"
#include "sim/scene.h"
#include "sim/seeds.h"

#include "fake/world_loop.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Many small worlds, each made of one number: workers that die, freeze and
 * drain, a store, a broker and a provider that fail in every way they can.
 * After a while all heals, and then what was promised must hold.
 */

#define NODES_MAX 40
#define REQUESTS_MAX 48

struct trial {
    uint64_t seed;
    struct world *world;
    struct node *nodes[NODES_MAX];
    size_t nodes_len;
    size_t requests;
    struct stage_options options;
    loop_fn *look; /* the watch's, after each turn */
    void *look_context;
    struct stage_options
        rotated; /* every second worker's, of several accounts */
    bool several;
    int64_t began_ms;
    char fault[400];
};

static struct {
    size_t requests, billed, violated;
    int64_t virtual_ms;
} sums;

/** null, either: there is none. */
static void fault(struct trial *t, const char *what, const char *whose)
{
    if (!t->fault[0] && what && whose) {
        snprintf(t->fault, sizeof t->fault, "%s: %s", whose, what);
    }
}

/* ---- what happens ---- */

static struct node *start(struct trial *t)
{
    char name[24];
    snprintf(name, sizeof name, "w%zu", t->nodes_len + 1);
    const bool rotated = t->several && t->nodes_len % 2;
    struct node *node =
        node_start(t->world, name, rotated ? &t->rotated : &t->options);
    t->nodes[t->nodes_len++] = node;
    return node;
}

static bool is_well(const struct node *node)
{
    return !node->killed && !node->worker.draining;
}

/** Every second world is so busy that each commit is one too many: what may
 * ride along does, as long as it may. */
static void be_busy(void *context)
{
    struct trial *t = context;
    for (size_t i = 0; i < t->nodes_len && t->seed % 2; i++) {
        struct node *node = t->nodes[i];
        if (is_well(node)) {
            node->worker.engine.turns.commits_left = (struct commits){
                .spent = 23500, .asked_ms = loop_boot_ms(node->loop)};
        }
    }
    t->look(t->look_context);
}

/** One that is neither dead nor leaving; null: there is none. */
static struct node *some_node(struct trial *t)
{
    size_t from = (size_t)world_pick(t->world, (int64_t)t->nodes_len);
    for (size_t i = 0; i < t->nodes_len; i++) {
        struct node *node = t->nodes[(from + i) % t->nodes_len];
        if (is_well(node)) {
            return node;
        }
    }
    return NULL;
}

static size_t well(const struct trial *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->nodes_len; i++) {
        n += is_well(t->nodes[i]);
    }
    return n;
}

/** Of every second world a third of the requests extend another one: of
 * before, of later, of never, in chains and in cycles. */
static bool extends_other(const struct trial *t, size_t n)
{
    return t->seed % 4 < 2 && n % 3 == 1;
}

static size_t source_of(const struct trial *t, size_t n)
{
    const size_t source = (n * 5 + (size_t)t->seed * 7) % REQUESTS_MAX;
    return n % 2 && n > 3 ? n - 3 : source == n ? source + 1 : source;
}

static void request(struct trial *t)
{
    struct world *world = t->world;
    char id[24];
    char more[60] = "";
    bool again = t->requests > 0 && world_chance(world, 150);
    if (!again && t->requests == REQUESTS_MAX) {
        return;
    }
    size_t n =
        again ? (size_t)world_pick(world, (int64_t)t->requests) : t->requests++;
    snprintf(id, sizeof id, "r%zu", n);
    if (n % 7 == 3) {
        snprintf(more, sizeof more, ",\"deadline_seconds\":%d",
                 20 + (int)(n % 40));
    }
    if (extends_other(t, n)) {
        char source[24];
        snprintf(source, sizeof source, "r%zu", source_of(t, n));
        world_extend(world, id, source, more);
        return;
    }
    if (budgets_are(t->seed)) {
        snprintf(more + strlen(more), 30, ",\"tenant\":\"%s\"",
                 budgets_tenant(t->seed, n));
    }
    world_ask_with(world, id, more);
}

static void mend(void *context)
{
    struct world *world = context;
    world->kafka->down = false;
    world->storage->full = false;
    world->provider->away = false;
    world->provider->balance_empty = false;
    world->provider->broke[0] = '\0';
}

/** PostgreSQL's clock, by up to a minute: its host was set right. */
static void jump(struct world *world)
{
    world->clock_off_ms = world_pick(world, 120000) - 60000;
    world_tell(world, "the clock is off by %lld ms",
               (long long)world->clock_off_ms);
    struck("clock jump");
}

static bool is_submitting(void *context)
{
    const struct tables *tables = ((struct world *)context)->tables;
    for (size_t i = 0; i < tables->len; i++) {
        if (!tables->records[i]->closed &&
            tables->records[i]->row.state == SUBMITTING) {
            return true;
        }
    }
    return false;
}

static void strike(struct trial *t)
{
    struct world *world = t->world;
    if (world_chance(world, 500)) { /* at the most delicate moment */
        (void)world_run_until(world, is_submitting, world, 5000);
        world_run_for(world, world_pick(world, 12));
    }
    struct node *node = some_node(t);
    int64_t ms = 500 + world_pick(world, 20000);
    bool room = t->nodes_len < NODES_MAX - 2;
    switch (world_pick(world, 11)) {
    case 0:
    case 1:
        if (node && room) {
            struck("kill -9");
            node_kill(node);
            start(t);
        }
        return;
    case 2:
    case 3:
        if (node) {
            struck("freeze");
            node_freeze(node, ms);
        }
        return;
    case 4:
        if (node && room) {
            struck("drain");
            node_drain(node);
            start(t);
        }
        return;
    case 5:
        if (!world->tables->down) {
            struck("store away");
            tables_away(world, ms);
        }
        return;
    case 6:
        struck("broker away");
        world->kafka->down = true;
        break;
    case 7:
        struck("storage full");
        world->storage->full = true;
        break;
    case 8:
        struck("provider away");
        world->provider->away = true;
        break;
    case 9:
        jump(world);
        return;
    default:
        struck("balance empty");
        if (t->several && ms % 4) {
            snprintf(world->provider->broke, sizeof world->provider->broke,
                     "%c", (char)('a' + ms % 3));
        } else {
            world->provider->balance_empty = true;
        }
        break;
    }
    world_at(world, ms, mend, world);
}

/** In every third world there are three accounts, of which one changes its key
 * while the workers do, and one learns how few are taken at once. */
static void share(struct trial *t)
{
    t->several = t->seed % 3 == 1;
    t->rotated = t->options;
    t->world->provider->apart = t->several;
    if (t->several) {
        node_accounts(&t->options, ENDS_ACCOUNTS);
        node_accounts(&t->rotated, ENDS_ROTATED);
        t->world->provider->takes = 3;
        t->world->provider->fails = t->seed % 2 == 1;
    }
}

static void set_up(struct trial *t)
{
    struct world *world = t->world;
    struct provider *provider = world->provider;
    t->options = node_options();
    t->options.late_ms = HOUR_MS;
    t->options.chain_wait_ms = 2 * HOUR_MS;
    world->tables->accepted_events = t->seed % 3 == 0;
    world->tables->blind = t->seed % 4 == 1 ? 300 : 0;
    t->options.submits_max = 1 + (int)world_pick(world, 8);
    t->options.transfers_max = 1 + (int)world_pick(world, 4);
    t->options.generations_max = (int[]){0, 2, 8}[world_pick(world, 3)];
    t->options.attempts_max = (int)(t->seed % 3);
    provider->retention_s = 3600;
    provider->chaos = (int)world_pick(world, 4) * 50;
    world->tables->chaos = (int)world_pick(world, 4) * 8;
    world->kafka->chaos = (int)world_pick(world, 3) * 30;
    world->storage->chaos = (int)world_pick(world, 3) * 30;
    world->storage->early = world_chance(world, 500);
    if (world_chance(world, 250)) {
        provider->told = KEYS_TOLD_NO;
        provider->honours_keys = false;
    } else if (world_chance(world, 50)) {
        provider->told = KEYS_TOLD_NOTHING;
        provider->honours_keys = world_chance(world, 500);
    }
    if (world_chance(world, 100)) {
        t->options.submit_doubt = DOUBT_SETTLE;
    }
    share(t);
    budgets_begin(world, t->seed);
    t->began_ms = world->now_ms;
    int64_t workers = 1 + world_pick(world, 3);
    for (int64_t i = 0; i < workers; i++) {
        start(t);
    }
}

/** By an operator, or by a message, perhaps before it came. */
static void cancel_one(struct trial *t)
{
    const int64_t coming = t->seed % 3 == 1 ? 3 : 0;
    const int64_t n = world_pick(t->world, (int64_t)t->requests + coming);
    char id[24];
    snprintf(id, sizeof id, "r%d", (int)n);
    if (coming) {
        world_cancel(t->world, id, budgets_tenant(t->seed, (size_t)n));
    }
    struck(coming || tables_cancel(t->world, id) ? "cancel ordered"
                                                 : "cancel refused");
}

static void live(struct trial *t)
{
    struct world *world = t->world;
    int64_t until_ms = world->now_ms + MINUTE_MS + world_pick(world, 120000);
    bool quiet = world_chance(world, 200);
    while (world->now_ms < until_ms) {
        world_run_for(world, 1 + world_pick(world, 4000));
        request(t);
        if (t->seed % 3 < 2 && t->requests && world_chance(world, 100)) {
            cancel_one(t);
        }
        kafka_look(world);
        if (!quiet && world_chance(world, 250)) {
            strike(t);
        }
    }
}

static void heal(struct trial *t)
{
    struct world *world = t->world;
    mend(world);
    world->provider->chaos = 0;
    world->provider->takes = 0;
    world->tables->chaos = 0;
    world->kafka->chaos = 0;
    world->storage->chaos = 0;
    if (!well(t)) {
        start(t);
    }
    world_run_for(world, 30000);
    mend(world);
    fault(t, budgets_heal(world), "the budgets");
    if (!world_run_until(world, tables_all_closed, world, 30 * HOUR_MS)) {
        fault(t, "not everything came to its end", "the world");
    }
}

/* ---- what must hold ---- */

static void look_at_events(struct trial *t, const char *id, struct seen *seen)
{
    const struct kafka *kafka = t->world->kafka;
    for (size_t i = 0; i < kafka->records_len; i++) {
        const struct record *record = &kafka->records[i];
        if (strcmp(record->topic, "pixverse.events") != 0 ||
            strcmp(record->key, id) != 0 ||
            says(record, "generation.accepted")) {
            continue;
        }
        if (!seen->first) {
            seen->first = record;
        } else if (is_same(record, seen->first) ||
                   (seen->late && is_same(record, seen->late))) {
            continue;
        } else if (!seen->late && leaves_open(seen->first) &&
                   says(record, "\"late\":true") &&
                   says(record, "generation.completed")) {
            seen->late = record;
        } else {
            fault(t, "a second end, or other bytes for the same one", id);
        }
    }
    if (!seen->first) {
        fault(t, "no end was told", id);
    }
}

static void look_at_videos(struct trial *t, const char *id,
                           const struct sale *sale)
{
    for (int i = 0; i < sale->plan.videos; i++) {
        char key[80];
        struct buf video;
        snprintf(key, sizeof key, "%s/%s/%d.mp4",
                 budgets_tenant(t->seed, (size_t)atoi(id + 1)), id, i);
        const struct object *object = storage_find(t->world->storage, key);
        buf_init(&video, 0);
        provider_video(sale, i, &video);
        if (!object || object->len != video.len ||
            memcmp(object->bytes, video.bytes, video.len) != 0) {
            fault(t, "what is stored is not what was served", id);
        }
        buf_done(&video);
    }
}

static void look_at_storage(struct trial *t)
{
    const char *left = storage_left(t->world->storage);
    if (left) {
        fault(t, "an upload was left", left);
    }
}

static void look_at_request(struct trial *t, const char *id)
{
    struct provider *provider = t->world->provider;
    const struct record_of *record = tables_find(t->world->tables, id);
    struct seen seen = {0};
    if (!record) {
        fault(t, "the request was lost", id);
        return;
    }
    look_at_events(t, id, &seen);
    if (!seen.first) {
        return;
    }
    if (provider_sold(provider, id) > 1) {
        fault(t, "it was paid for twice", id);
    }
    if (provider_overloaded(provider, id) > 1 + t->options.attempts_max) {
        fault(t, "it was tried more often than was allowed", id);
    }
    if (record->early && provider_sold(provider, id) > 0) {
        fault(t, "it was cancelled before it came", id);
    }
    const struct sale *sale = provider_last_sale(provider, id);
    const struct record *end = seen.late ? seen.late : seen.first;
    bool completed = says(end, "generation.completed");
    if (completed && (!sale || strcmp(sale->plan.end, "completed") != 0)) {
        fault(t, "completed, and nothing was sold", id);
    } else if (completed) {
        look_at_videos(t, id, sale);
    } else if (sale && strcmp(sale->plan.end, "completed") == 0 &&
               !leaves_open(end) && !is_cancelled(record, end)) {
        fault(t, "a paid video was thrown away", id);
    }
    const bool last =
        sale && strcmp(record->row.provider_task_id, sale->id) == 0;
    if (last && t->several && record->row.account[0] != sale->bearer[0]) {
        fault(t, "told of another account than bought it", id);
    }
    bool known = last || (sale && record_had(record, sale->id));
    if (sale && !known && !says(seen.first, "submit_unknown") &&
        !is_cancelled(record, end)) {
        fault(t, "it was sold, and nobody knows", id);
    }
}

/** What extends another was bought from that one's video, or not at all. */
static void look_at_chain(struct trial *t, size_t n)
{
    char id[24];
    char source[24];
    snprintf(id, sizeof id, "r%zu", n);
    snprintf(source, sizeof source, "r%zu", source_of(t, n));
    const struct sale *sale = provider_last_sale(t->world->provider, id);
    const struct sale *from = provider_last_sale(t->world->provider, source);
    if (sale && (!from || strcmp(sale->source, from->id) != 0)) {
        fault(t, "it was bought without what it extends", id);
    }
    const struct record_of *record = tables_find(t->world->tables, id);
    const struct record_of *origin = tables_find(t->world->tables, source);
    if (record && record->row.kind == FAILURE_SOURCE_FAILED && origin &&
        origin->row.kind == FAILURE_NONE && origin->row.stored_ms &&
        origin->row.stored_ms + 60000 < record->row.settled_ms) {
        fault(t, "what it extends is there, and it failed for want of it", id);
    }
}

static void look_at_all(struct trial *t)
{
    look_at_storage(t);
    fault(t, "what was learnt is out of bounds",
          ends_limit_beyond(t->world->tables));
    for (size_t i = 0; i < t->requests; i++) {
        char id[24];
        snprintf(id, sizeof id, "r%zu", i);
        look_at_request(t, id);
        if (extends_other(t, i)) {
            look_at_chain(t, i);
        }
    }
    if (t->world->tables->len != t->requests) {
        fault(t, "other requests than were made", "the world");
    }
}

/** For tests/fault/report. */
static void tell(uint64_t seeds)
{
    printf("# %llu seeds, %.1f days of virtual time\n# record {\"faults\": {",
           (unsigned long long)seeds, (double)sums.virtual_ms / 86400e3);
    struck_write(stdout);
    printf("}, \"seeds\": %llu, \"simulated_requests\": %zu, "
           "\"simulated_billed\": %zu, \"violated\": %zu}\n",
           (unsigned long long)seeds, sums.requests, sums.billed,
           sums.violated);
}

static bool try_seed(uint64_t seed)
{
    struct trial *t = calloc(1, sizeof *t);
    assert_non_null(t);
    seeds_now = seed;
    t->seed = seed;
    t->world = world_open(seed);
    struct watch *watch = watch_open(t->world);
    t->look = t->world->on_turn;
    t->look_context = t->world->turn_context;
    t->world->on_turn = be_busy;
    t->world->turn_context = t;
    set_up(t);
    live(t);
    fault(t, "more was bought than it has",
          budgets_overdrawn(t->world, t->began_ms));
    heal(t);
    look_at_all(t);
    fault(t, budgets_off(t->world), "the budgets");
    kafka_look(t->world);
    if (t->world->fault[0]) {
        fault(t, t->world->fault, "the world");
    }
    sums.requests += t->requests;
    sums.billed += t->world->provider->sales_len;
    sums.violated += t->fault[0] != '\0';
    sums.virtual_ms += t->world->now_ms - t->began_ms;
    bool fine = !t->fault[0];
    if (!fine) {
        fprintf(stderr, "SEED=%llu: %s\n", (unsigned long long)seed, t->fault);
    }
    for (size_t i = 0; i < t->nodes_len; i++) {
        node_free(t->nodes[i]);
    }
    watch_close(watch);
    world_close(t->world);
    free(t);
    return fine;
}

/** Seeds that nobody has begun, one after the other: they take their time, some
 * much longer than others. Whether all held. */
static bool try_share(atomic_ullong *next, uint64_t last)
{
    bool fine = true;
    uint64_t tried = 0;
    for (uint64_t seed; (seed = atomic_fetch_add(next, 1)) <= last; tried++) {
        fine = try_seed(seed) && fine;
    }
    tell(tried);
    (void)fflush(stdout);
    return fine;
}

TEST_CASE(worlds__of_many_seeds__keep_what_was_promised)
{
    uint64_t first = 0;
    const uint64_t last = seeds_choose(&first);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const uint64_t jobs = cores > 1 && last > first ? (uint64_t)cores : 1;
    atomic_ullong *next = mmap(NULL, sizeof *next, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(next != MAP_FAILED);
    atomic_init(next, first);
    if (jobs == 1) {
        assert_true(try_share(next, last));
        return;
    }
    (void)fflush(stdout);
    for (uint64_t i = 0; i < jobs; i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            exit(!try_share(next, last));
        }
    }
    int failed = 0;
    for (uint64_t i = 0; i < jobs; i++) {
        int status = 0;
        assert_true(wait(&status) > 0);
        failed += status != 0;
    }
    assert_int_equal(failed, 0);
}

int main(void)
{
    signal(SIGABRT, seeds_on_abort);
    return TESTS_RESULT(NULL, NULL);
}
