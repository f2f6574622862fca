#include "world.h"

#include "base/list.h"
#include "draw.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { REFUSED_MS = 1000 /* until a sale above the limit fails */ };

static void *grown(void *list, uint32_t count, uint32_t *room, size_t each)
{
    if (count < *room) {
        return list;
    }
    *room = *room ? *room * 2 : 256;
    void *more = realloc(list, *room * each);
    if (!more) {
        abort();
    }
    return more;
}

static char *copy_of(struct str text)
{
    char *copy = malloc(text.len + 1);
    if (!copy) {
        abort();
    }
    if (text.len > 0) {
        memcpy(copy, text.at, text.len);
    }
    copy[text.len] = '\0';
    return copy;
}

void world_init(struct world *world, const struct options *options)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    world->options = *options;
    heap_init(&world->running);
    world->salt = draw((uint64_t)now.tv_sec, (uint64_t)now.tv_nsec);
}

static void forget(struct world *world)
{
    heap_done(&world->running); /* it writes into the sales: before them */
    for (uint32_t i = 0; i < world->sales_count; i++) {
        sale_done(world->sales[i]);
        free(world->sales[i]);
    }
    for (uint32_t i = 0; i < world->replays_count; i++) {
        free(world->replays[i].key);
    }
    for (uint32_t i = 0; i < world->keys_count; i++) {
        free(world->keys[i].text);
    }
    free(world->sales);
    free(world->replays);
    free(world->keys);
    index_done(&world->sales_by_tail);
    index_done(&world->replays_by_key);
    faults_clear(&world->faults);
}

void world_done(struct world *world)
{
    forget(world);
}

void world_reset(struct world *world)
{
    const struct options options = world->options;
    const int64_t now_us = world->now_us;
    const int64_t now_ms = world->now_ms;
    forget(world);
    memset(world, 0, sizeof(*world));
    world_init(world, &options);
    world->now_us = now_us;
    world->now_ms = now_ms;
}

void world_digest(struct str bytes, char out[65])
{
    unsigned char digest[32];
    if (EVP_Digest(bytes.at ? bytes.at : "", bytes.len, digest, NULL,
                   EVP_sha256(), NULL) != 1) {
        abort();
    }
    str_hex(digest, sizeof(digest), out);
}

/** null: it is not accepted. */
static const struct option_key *accepted_as(const struct options *options,
                                            struct str key)
{
    static const struct option_key any = {.balance_micros = -1};
    for (size_t i = 0; i < options->keys_count; i++) {
        if (str_eq(key, options->keys[i].text)) {
            return &options->keys[i];
        }
    }
    return options->keys_count == 0 && key.len > 0 ? &any : NULL;
}

uint32_t world_key(struct world *world, struct str key)
{
    for (uint32_t i = 0; i < world->keys_count; i++) {
        if (str_eq(key, str_of(world->keys[i].text))) {
            return i;
        }
    }
    const struct option_key *as = accepted_as(&world->options, key);
    if (!as) {
        return INDEX_NONE;
    }
    char digest[65];
    world->keys =
        realloc(world->keys, (world->keys_count + 1) * sizeof(*world->keys));
    if (!world->keys) {
        abort();
    }
    struct api_key *added = &world->keys[world->keys_count];
    *added = (struct api_key){.text = copy_of(key),
                              .balance_micros = as->balance_micros,
                              .slots = as->slots};
    world_digest(key, digest);
    snprintf(added->fingerprint, sizeof(added->fingerprint), "%.16s", digest);
    return world->keys_count++;
}

struct sale *world_sale(const struct world *world, struct str id)
{
    if (!str_starts(id, STR("task_"))) {
        return NULL;
    }
    const uint32_t at =
        index_find(&world->sales_by_tail, (struct str){id.at + 5, id.len - 5});
    return at == INDEX_NONE ? NULL : world->sales[at];
}

/** "task_" and a ULID: 10 digits of time, 16 of chance, in Crockford's 32. */
static void make_id(const struct world *world, struct sale *sale)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char *out = sale->id;
    memcpy(out, "task_", 5);
    out += 5;
    const uint64_t ms = (uint64_t)(world->now_us / 1000);
    for (int i = 9; i >= 0; i--) {
        *out++ = digits[(ms >> (5 * i)) & 31];
    }
    for (uint64_t part = 0; part < 2; part++) {
        const uint64_t chance = draw(world->salt + part, sale->number);
        for (int i = 0; i < 8; i++) {
            *out++ = digits[(chance >> (5 * i)) & 31];
        }
    }
    *out = '\0';
}

size_t world_running(struct world *world)
{
    struct heap_entry *first = NULL;
    while ((first = heap_first(&world->running)) &&
           first->due_ms <= world->now_ms) {
        world->keys[LIST_OWNER(first, struct sale, running)->key].running--;
        heap_remove(&world->running, first);
    }
    return world->running.len;
}

void world_run(struct world *world, struct sale *sale)
{
    if (!heap_reserve(&world->running, world->running.len + 1)) {
        abort();
    }
    struct api_key *key = &world->keys[sale->key];
    key->running += sale->running.place == 0;
    heap_put(&world->running, &sale->running,
             sale->start_ms + sale->latency_ms);
    const size_t running = world_running(world);
    if (running > world->running_peak) {
        world->running_peak = (uint32_t)running;
    }
    if (key->running > key->running_peak) {
        key->running_peak = key->running;
    }
}

int64_t world_balance(const struct world *world, uint32_t api_key)
{
    const struct api_key *key = &world->keys[api_key];
    const int64_t shared = world->options.balance_micros;
    if (key->balance_micros < 0 && shared < 0) {
        return -1;
    }
    const int64_t left = key->balance_micros < 0
                             ? shared - world->spent_micros
                             : key->balance_micros - key->spent_micros;
    return left > 0 ? left : 0; /* a fault may have sold more */
}

/** Whether one more of the key's may run. */
static bool has_slot(struct world *world, const struct api_key *key)
{
    const size_t all = world_running(world);
    const int64_t limit = world->options.concurrency;
    return key->slots > 0 ? key->running < key->slots
                          : limit == 0 || all < (size_t)limit;
}

/** Above the plan's limit the provider accepts a sale, and fails it. */
static void check_limit(struct world *world, struct sale *sale)
{
    if (has_slot(world, &world->keys[sale->key])) {
        world_run(world, sale);
        return;
    }
    sale->fate = FATE_FAIL;
    sale->fail_message =
        copy_of(STR("pixverse error 500044: reached the limit for concurrent "
                    "generations"));
    sale->latency_ms =
        sale->latency_ms < REFUSED_MS ? sale->latency_ms : REFUSED_MS;
}

struct sale *world_accept(struct world *world, const struct order *order,
                          struct str body, uint32_t api_key)
{
    struct sale *sale = calloc(1, sizeof(*sale));
    if (!sale) {
        abort();
    }
    const struct options *options = &world->options;
    sale->number = world->sales_count;
    sale->seed = draw(options->seed, sale->number);
    sale->key = api_key;
    sale->replay = INDEX_NONE;
    sale->mode = order->mode;
    sale->width = order->width;
    sale->height = order->height;
    sale->seconds = order->seconds;
    sale->audio = order->audio;
    sale->cost_micros = order->cost_micros;
    sale->body = copy_of(body);
    sale->body_bytes = body.len;
    world_digest(body, sale->digest);
    sale->accepted_us = world->now_us;
    sale->start_ms = world->now_ms;
    sale->last_poll_ms = world->now_ms;
    sale->latency_ms =
        (int64_t)draw_between(sale->seed, 0, (uint64_t)options->latency_min_ms,
                              (uint64_t)options->latency_max_ms);
    sale->videos = 1;
    sale->urls = 1;
    make_id(world, sale);
    check_limit(world, sale);
    world->sales = grown(world->sales, world->sales_count, &world->sales_room,
                         sizeof(struct sale *));
    world->sales[world->sales_count++] = sale;
    index_put(&world->sales_by_tail, str_of(sale->id + 5), sale->number);
    world->spent_micros += sale->cost_micros;
    world->keys[api_key].spent_micros += sale->cost_micros;
    world->keys[api_key].accepted++;
    world->counts.accepted++;
    return sale;
}

uint32_t world_replay(struct world *world, uint32_t api_key, struct str key)
{
    char name[256];
    const int len =
        snprintf(name, sizeof(name), "%u/%.*s", api_key, (int)key.len, key.at);
    const struct str full = {name, (size_t)len};
    uint32_t at = index_find(&world->replays_by_key, full);
    if (at != INDEX_NONE) {
        return at;
    }
    world->replays = grown(world->replays, world->replays_count,
                           &world->replays_room, sizeof(struct replay));
    at = world->replays_count++;
    world->replays[at] = (struct replay){
        .key = copy_of(key), .api_key = api_key, .sale = INDEX_NONE};
    index_put(&world->replays_by_key, full, at);
    return at;
}

void world_settle(struct world *world, struct sale *sale)
{
    if (sale->refunded || sale->fate == FATE_COMPLETE ||
        sale->fail_cost_micros > 0 || !sale_is_over(sale, world->now_ms)) {
        return;
    }
    sale->refunded = true;
    world->spent_micros -= sale->cost_micros;
    world->keys[sale->key].spent_micros -= sale->cost_micros;
}

void world_error(struct site *site, int status, const char *type,
                 const char *code, const char *message, const char *param)
{
    struct reply *reply = site->reply;
    reply_no_body(reply);
    reply->status = status;
    reply->type = "application/json";
    struct buf *out = &reply->body;
    buf_add_text(out, "{\"error\":{");
    if (code) {
        buf_add_text(out, "\"code\":");
        buf_add_text(out, code);
        buf_add_char(out, ',');
    }
    buf_add_text(out, "\"message\":");
    buf_add_json(out, str_of(message));
    if (param) {
        buf_add_text(out, ",\"param\":");
        buf_add_json(out, str_of(param));
    }
    buf_add_text(out, ",\"type\":\"");
    buf_add_text(out, type);
    buf_printf(out, "\"},\"request_id\":\"sim-%llu\"}",
               (unsigned long long)site->world->request_number);
}
