#include "fake/provider.h"
#include "fake/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const fate_names[] = {
#define X(name, text) text,
    POST_FATES(X)
#undef X
};

struct provider *provider_open(struct world *world)
{
    struct provider *provider = calloc(1, sizeof *provider);
    assert(provider);
    provider->world = world;
    provider->honours_keys = true;
    provider->told = KEYS_TOLD_YES;
    provider->retention_s = 86400;
    return provider;
}

void provider_close(struct provider *provider)
{
    for (size_t i = 0; i < provider->sales_len; i++) {
        free(provider->sales[i]);
    }
    free(provider->sales);
    free(provider);
}

struct plan provider_usual_plan(void)
{
    return (struct plan){
        .run_ms = 12000,
        .end = "completed",
        .videos = 1,
        .url_life_ms = 3600000,
    };
}

static size_t script_of(struct provider *provider, const char *prompt)
{
    for (size_t i = 0; i < provider->scripts_len; i++) {
        if (strcmp(provider->scripts[i].prompt, prompt) == 0) {
            return i;
        }
    }
    assert(provider->scripts_len < SCRIPTS_MAX);
    size_t i = provider->scripts_len++;
    snprintf(provider->scripts[i].prompt, sizeof provider->scripts[i].prompt,
             "%s", prompt);
    return i;
}

void provider_script(struct world *world, const char *prompt, const char *fates)
{
    size_t i = script_of(world->provider, prompt);
    snprintf(world->provider->scripts[i].fates,
             sizeof world->provider->scripts[i].fates, "%s", fates);
}

void provider_plan(struct world *world, const char *prompt, struct plan plan)
{
    size_t i = script_of(world->provider, prompt);
    world->provider->scripts[i].plan = plan;
    world->provider->scripts[i].planned = true;
}

static void read_text(struct str body, const char *name, char out[static 132])
{
    ptrdiff_t at = str_find_nocase(body, str_of(name));
    out[0] = '\0';
    if (at >= 0) {
        const char *from = body.at + at + strlen(name);
        const char *to = memchr(from, '"', (size_t)(body.at + body.len - from));
        snprintf(out, 132, "%.*s", to ? (int)(to - from) : 0, from);
    }
}

static void read_prompt(struct str body, char out[static 132])
{
    read_text(body, "\"prompt\":\"", out);
}

static uint64_t sum_of(struct str body)
{
    uint64_t sum = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < body.len; i++) {
        sum = (sum ^ (unsigned char)body.at[i]) * UINT64_C(1099511628211);
    }
    return sum;
}

/* ---- what becomes of a POST ---- */

static enum post_fate random_fate(struct provider *provider)
{
    static const enum post_fate fates[] = {
        POST_UNSENT,    POST_LOST_REQUEST, POST_LOST_REPLY, POST_LOST_REPLY,
        POST_SLOW,      POST_STUCK,        POST_429,        POST_500,
        POST_500_TAKEN, POST_503,          POST_403_PAGE,   POST_TOP_ID,
        POST_NO_ID,
    };
    if (!world_chance(provider->world, provider->chaos)) {
        return POST_OK;
    }
    enum post_fate fate =
        fates[world_pick(provider->world, sizeof fates / sizeof *fates)];
    struck(fate_names[fate]);
    return fate;
}

enum post_fate provider_fate(struct provider *provider, struct str body)
{
    char prompt[132];
    read_prompt(body, prompt);
    provider->posts++;
    if (provider->away) {
        return POST_UNSENT;
    }
    for (size_t i = 0; i < provider->scripts_len; i++) {
        const char *words = provider->scripts[i].fates;
        size_t *at = &provider->scripts[i].at;
        if (strcmp(provider->scripts[i].prompt, prompt) != 0 || !words[*at]) {
            continue;
        }
        size_t len = strcspn(words + *at, " ");
        for (int fate = 0; fate < POST_FATES_LEN; fate++) {
            if (str_eq(str_of(fate_names[fate]),
                       (struct str){words + *at, len})) {
                *at += len + strspn(words + *at + len, " ");
                return (enum post_fate)fate;
            }
        }
        assert(!"no such fate");
    }
    return random_fate(provider);
}

static struct answer error_of(int status, const char *code, const char *message,
                              struct arena *arena)
{
    return (struct answer){
        .status = status,
        .body = str_of(arena_printf(
            arena,
            "{\"error\":{\"code\":%d,\"message\":\"%s\",\"type\":\"%s\"}}",
            status, message, code)),
    };
}

static const struct refusal {
    enum post_fate fate;
    int status;
    const char *code;
    const char *message;
} refusals[] = {
    {POST_400, 400, "invalid_request_error", "duration is not allowed"},
    {POST_401, 401, "authentication_error", "the key is not valid"},
    {POST_402, 402, "payment_required", "insufficient balance"},
    {POST_403, 403, "permission_error", "this model is not for you"},
    {POST_429, 429, "rate_limit_error", "too many requests"},
    {POST_500, 500, "server_error", "an inner error"},
    {POST_503, 503, "idempotency_unavailable", "idempotency_unavailable"},
    {POST_RUNNING, 409, "idempotency_in_progress", "idempotency_in_progress"},
    {POST_INDETERMINATE, 409, "idempotency_result_indeterminate",
     "idempotency_result_indeterminate"},
};

struct str bearer_account(struct str bearer)
{
    const char *dot = memchr(bearer.at, '.', bearer.len);
    return dot ? (struct str){bearer.at, (size_t)(dot - bearer.at)} : bearer;
}

static bool is_broke(const struct provider *provider, struct str bearer)
{
    return provider->balance_empty ||
           (provider->broke[0] &&
            str_eq(bearer_account(bearer), str_of(provider->broke)));
}

static struct sale *sale_by_key(const struct provider *provider,
                                struct str bearer, struct str key)
{
    for (size_t i = 0; i < provider->sales_len; i++) {
        if (str_eq(str_of(provider->sales[i]->bearer), bearer) &&
            str_eq(str_of(provider->sales[i]->key), key)) {
            return provider->sales[i];
        }
    }
    return NULL;
}

static struct plan plan_of(struct provider *provider, const char *prompt)
{
    for (size_t i = 0; i < provider->scripts_len; i++) {
        if (strcmp(provider->scripts[i].prompt, prompt) == 0 &&
            provider->scripts[i].planned) {
            return provider->scripts[i].plan;
        }
    }
    struct plan plan = provider_usual_plan();
    if (provider->chaos) {
        plan.run_ms = 2000 + world_pick(provider->world, 60000);
        plan.videos = 1 + (int)world_pick(provider->world, 3);
        plan.end = world_chance(provider->world, 50) ? "failed" : "completed";
        plan.overloads = world_chance(provider->world, 100)
                             ? (int)world_pick(provider->world, 4)
                             : 0;
    }
    return plan;
}

/** What it extends has to be finished; a template must not come here. */
static void look_at_source(struct provider *provider, const struct sale *sale,
                           struct str body)
{
    const struct sale *source = provider_sale(provider, sale->source);
    if (str_find_nocase(body, STR("extend_from_request_id")) >= 0) {
        world_fault(provider->world, "a template was sent", sale->prompt);
    }
    if (source &&
        (provider->world->now_ms - source->taken_ms < source->plan.run_ms ||
         strcmp(source->plan.end, "completed") != 0)) {
        world_fault(provider->world, "it extends what is not finished",
                    sale->prompt);
    }
    if (source && provider->apart &&
        !str_eq(bearer_account(str_of(source->bearer)),
                bearer_account(str_of(sale->bearer)))) {
        world_fault(provider->world, "it is not that account's", sale->prompt);
    }
}

static struct sale *sell(struct provider *provider, struct str bearer,
                         struct str key, struct str body)
{
    struct sale *sale = calloc(1, sizeof *sale);
    provider->sales = realloc(provider->sales, (provider->sales_len + 1) *
                                                   sizeof(*provider->sales));
    assert(sale && provider->sales);
    read_prompt(body, sale->prompt);
    snprintf(sale->key, sizeof sale->key, "%.*s", (int)key.len, key.at);
    snprintf(sale->bearer, sizeof sale->bearer, "%.*s", (int)bearer.len,
             bearer.at);
    snprintf(sale->id, sizeof sale->id, "task_%zu", provider->sales_len + 1);
    read_text(body, "\"extend_from_task_id\":\"", sale->source);
    sale->body_bytes = body.len;
    sale->body_sum = sum_of(body);
    look_at_source(provider, sale, body);
    sale->taken_ms = provider->world->now_ms;
    sale->plan = plan_of(provider, sale->prompt);
    if (provider_overloaded(provider, sale->prompt) < sale->plan.overloads) {
        sale->overloaded = true;
        sale->plan.end = "failed";
    }
    provider->sales[provider->sales_len++] = sale;
    world_tell(provider->world, "provider takes %s as %s", sale->prompt,
               sale->id);
    return sale;
}

static struct answer tell_sale(const struct sale *sale, enum post_fate fate,
                               struct arena *arena)
{
    const char *before = "{\"code\":200,\"data\":[{\"status\":\"submitted\","
                         "\"task_id\":\"";
    const char *behind = "\"}]}";
    if (fate == POST_TOP_ID) {
        before = "{\"status\":\"queued\",\"task_id\":\"";
        behind = "\"}";
    } else if (fate == POST_NO_ID) {
        before = "{\"success\":true,\"request_id\":\"";
        behind = "\"}";
    }
    return (struct answer){
        .status = 200,
        .body = str_of(arena_printf(arena, "%s%s%s", before, sale->id, behind)),
    };
}

struct answer provider_post(struct provider *provider, enum post_fate fate,
                            struct str bearer, struct str key, struct str body,
                            struct arena *arena)
{
    if (provider->key_refused) {
        fate = POST_401;
    } else if (is_broke(provider, bearer)) {
        fate = POST_402;
    }
    if (fate == POST_403_PAGE) {
        return (struct answer){.status = 403, .body = STR("<html>no</html>")};
    }
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        if (refusals[i].fate == fate) {
            return error_of(refusals[i].status, refusals[i].code,
                            refusals[i].message, arena);
        }
    }
    struct sale *sale =
        provider->honours_keys ? sale_by_key(provider, bearer, key) : NULL;
    bool replayed = sale != NULL;
    if (replayed) {
        sale->replays++;
        if (sale->body_bytes != body.len || sale->body_sum != sum_of(body)) {
            world_fault(provider->world, "a replay has other bytes",
                        sale->prompt);
        }
        world_tell(provider->world, "provider replays %s", sale->id);
    } else {
        const bool crowded = provider_is_crowded(provider, bearer);
        provider->refusals += crowded;
        if (crowded && !provider->fails) {
            return error_of(429, "rate_limit_error", "too many at once", arena);
        }
        sale = sell(provider, bearer, key, body);
        if (crowded) {
            sale->crowded = sale->overloaded = true;
            sale->plan = (struct plan){.end = "failed", .run_ms = 2000};
        }
    }
    if (fate == POST_500_TAKEN) {
        return error_of(500, "server_error", "an inner error", arena);
    }
    struct answer answer = tell_sale(sale, fate, arena);
    answer.replayed = replayed;
    return answer;
}

/* ---- polls and other questions ---- */

const struct sale *provider_sale(const struct provider *provider,
                                 const char *id)
{
    for (size_t i = 0; i < provider->sales_len; i++) {
        if (strcmp(provider->sales[i]->id, id) == 0) {
            return provider->sales[i];
        }
    }
    return NULL;
}

const struct sale *provider_last_sale(const struct provider *provider,
                                      const char *prompt)
{
    const struct sale *sale = NULL;
    for (size_t i = 0; i < provider->sales_len; i++) {
        if (strcmp(provider->sales[i]->prompt, prompt) == 0) {
            sale = provider->sales[i];
        }
    }
    return sale;
}

size_t provider_sold(const struct provider *provider, const char *prompt)
{
    size_t n = 0;
    for (size_t i = 0; i < provider->sales_len; i++) {
        n += strcmp(provider->sales[i]->prompt, prompt) == 0 &&
             !provider->sales[i]->overloaded;
    }
    return n;
}

static void add_videos(struct provider *provider, struct sale *sale,
                       struct buf *out)
{
    const struct plan *plan = &sale->plan;
    int64_t now_ms = world_clock_ms(provider->world);
    if (!sale->url_count ||
        (now_ms >= sale->url_until_ms && !plan->no_fresh_url)) {
        sale->url_count++;
        sale->url_until_ms =
            now_ms + (plan->url_life_ms ? plan->url_life_ms : 86400000);
    }
    buf_add_text(out, ",\"result\":{\"videos\":[");
    for (int i = 0; i < plan->videos; i++) {
        buf_printf(out, "%s{\"url\":[\"https://assets.example/%s/%d/%d.mp4\"]",
                   i ? "," : "", sale->id, i, sale->url_count);
        if (plan->url_life_ms) {
            buf_printf(out, ",\"expires_at\":%lld",
                       (long long)(sale->url_until_ms / 1000));
        }
        buf_add_char(out, '}');
    }
    buf_add_text(out, "]}");
}

static struct answer tell_task(struct provider *provider, struct sale *sale,
                               struct arena *arena)
{
    const struct plan *plan = &sale->plan;
    int64_t age_ms = provider->world->now_ms - sale->taken_ms;
    if (plan->unknown) {
        return error_of(400, "invalid_request_error", "task id does not exist",
                        arena);
    }
    struct buf out;
    buf_init(&out, 0);
    bool over = age_ms >= plan->run_ms;
    bool good = strcmp(plan->end, "completed") == 0;
    buf_printf(&out, "{\"code\":200,\"data\":{\"id\":\"%s\",\"status\":\"%s\"",
               sale->id, over ? plan->end : "processing");
    buf_printf(&out, ",\"progress\":%d",
               over ? 100 : (int)(age_ms * 100 / (plan->run_ms + 1)));
    if (over) {
        int64_t done_ms = WORLD_EPOCH_MS + sale->taken_ms + plan->run_ms;
        buf_printf(&out, ",\"cost\":%s,\"credits_cost\":%d,\"completed\":%lld",
                   good ? "0.2" : "0", good ? 2 : 0,
                   (long long)(done_ms / 1000));
    }
    if (over && good) {
        add_videos(provider, sale, &out);
    } else if (over) {
        buf_printf(&out, ",\"error\":{\"code\":%s}",
                   sale->crowded ? "500044,\"message\":\"too many at once\""
                   : sale->overloaded ? "500069,\"message\":\"high load\""
                                      : "500001,\"message\":"
                                        "\"it could not be made\"");
    }
    buf_add_text(&out, "}}");
    struct answer answer = {
        .status = 200,
        .body = {arena_copy(arena, out.bytes, out.len), out.len},
    };
    buf_done(&out);
    return answer;
}

static struct answer tell_keys(const struct provider *provider,
                               struct arena *arena)
{
    switch (provider->told) {
    case KEYS_TOLD_YES:
        return (struct answer){
            .status = 200,
            .body = str_of(
                arena_printf(arena,
                             "{\"idempotency\":{\"header\":\"Idempotency-Key\","
                             "\"retention_seconds\":%d}}",
                             provider->retention_s)),
        };
    case KEYS_TOLD_NO:
        return error_of(404, "not_found", "no such page", arena);
    case KEYS_TOLD_NOTHING:
        break;
    }
    return error_of(502, "bad_gateway", "away", arena);
}

static void note_poll(struct sale *sale, int64_t now_ms)
{
    const int64_t gap_ms = now_ms - sale->polled_ms;
    if (sale->polled_ms && (!sale->gap_min_ms || gap_ms < sale->gap_min_ms)) {
        sale->gap_min_ms = gap_ms;
    }
    if (sale->polled_ms && gap_ms > sale->gap_max_ms) {
        sale->gap_max_ms = gap_ms;
    }
    sale->polled_ms = now_ms;
    sale->polls++;
}

struct answer provider_get(struct provider *provider, struct str bearer,
                           struct str url, struct arena *arena)
{
    static const char tasks[] = "/v1/tasks/";
    ptrdiff_t at = str_find_nocase(url, STR(tasks));
    if (at >= 0) {
        char id[140];
        size_t skip = (size_t)at + sizeof tasks - 1;
        snprintf(id, sizeof id, "%.*s", (int)(url.len - skip), url.at + skip);
        struct sale *sale =
            (struct sale *)(uintptr_t)provider_sale(provider, id);
        if (sale) {
            note_poll(sale, provider->world->now_ms);
        }
        const bool denied = sale && provider->apart &&
                            !str_eq(bearer_account(str_of(sale->bearer)),
                                    bearer_account(bearer));
        return sale && !denied ? tell_task(provider, sale, arena)
                               : error_of(400, "invalid_request_error",
                                          "task id does not exist", arena);
    }
    if (str_find_nocase(url, STR("/v1/model-schema")) >= 0) {
        return tell_keys(provider, arena);
    }
    if (provider->key_refused) {
        return error_of(401, "authentication_error", "the key is not valid",
                        arena);
    }
    provider->balances++;
    return (struct answer){
        .status = 200,
        .body = str_of(arena_printf(arena,
                                    "{\"success\":true,\"remain_balance\":%d,"
                                    "\"used_balance\":2.5}",
                                    is_broke(provider, bearer) ? 0 : 10)),
    };
}

/* ---- videos ---- */

static void add_box(struct buf *body, const char *type, const char *bytes,
                    size_t len)
{
    size_t size = len + 8;
    char head[8] = {(char)(size >> 24), (char)(size >> 16), (char)(size >> 8),
                    (char)size};
    memcpy(head + 4, type, 4);
    buf_add(body, head, sizeof head);
    buf_add(body, bytes, len);
}

void provider_video(const struct sale *sale, int index, struct buf *body)
{
    char pixels[3000];
    memset(pixels, 'a' + index, sizeof pixels);
    snprintf(pixels, sizeof pixels, "%s of %s", sale->id, sale->prompt);
    if (sale->plan.no_video) {
        buf_add(body, pixels, sizeof pixels);
        return;
    }
    add_box(body, "ftyp", "isom\0\0\0\0", 8);
    add_box(body, "moov", "", 0);
    add_box(body, "mdat", pixels, sizeof pixels);
}

static const struct plan *plan_at(const struct provider *provider,
                                  struct str url)
{
    for (size_t i = 0; i < provider->sales_len; i++) {
        const struct sale *sale = provider->sales[i];
        char part[44];
        snprintf(part, sizeof part, "/%s/", sale->id);
        if (str_find_nocase(url, str_of(part)) >= 0) {
            return &sale->plan;
        }
    }
    return NULL;
}

bool provider_drips(const struct provider *provider, struct str url)
{
    const struct plan *plan = plan_at(provider, url);
    return plan && plan->drips;
}

int64_t provider_slow_ms(const struct provider *provider, struct str url)
{
    const struct plan *plan = plan_at(provider, url);
    return plan ? plan->slow_ms : 0;
}

/** Bodies that are not what was made. */
static void spoil(struct sale *sale, struct buf *body)
{
    sale->served++;
    if (sale->served <= sale->plan.bad_bodies) {
        buf_reset(body);
        buf_printf(body, "<html>not now, for the %d. time</html>",
                   sale->served);
    } else if (sale->served <= sale->plan.cuts) {
        body->len -= 700 + (size_t)sale->served;
    }
}

int provider_serve(struct provider *provider, struct str url, struct buf *body,
                   bool *unmeasured)
{
    char text[256];
    char id[40];
    int index = 0;
    int count = 0;
    snprintf(text, sizeof text, "%.*s", (int)url.len, url.at);
    if (sscanf(text, "https://assets.example/%39[^/]/%d/%d.mp4", id, &index,
               &count) != 3) {
        return 404;
    }
    struct sale *sale = (struct sale *)(uintptr_t)provider_sale(provider, id);
    if (!sale || index >= sale->plan.videos) {
        return 404;
    }
    if (count != sale->url_count ||
        world_clock_ms(provider->world) >= sale->url_until_ms) {
        return 403;
    }
    provider_video(sale, index, body);
    *unmeasured = sale->plan.unmeasured;
    if (*unmeasured && body->len > 24) { /* mdat goes to the end */
        memset(body->bytes + 24, 0, 4);
    }
    spoil(sale, body);
    return 200;
}
