#include "api.h"

#include "control.h"
#include "draw.h"
#include "fault.h"
#include "video.h"

#include <stdio.h>
#include <time.h>

enum { KEY_BYTES_MAX = 191 };

/** A text that `?language=` translates. */
struct phrase {
    const char *raw; /* without a language */
    const char *zh;
    const char *en;
};

static const struct phrase bad_key = {
    "身份验证失败，请检查您的 API 密钥", "身份验证失败，请检查您的 API 密钥",
    "Authentication failed, please check your API key"};
static const struct phrase bad_id = {"无效的任务ID", "无效的任务ID",
                                     "Invalid task ID"};
static const struct phrase generation_failed = {
    NULL, "视频生成失败，请稍后重试", "Video generation failed, please retry"};

static const char *say(const struct site *site, const struct phrase *phrase)
{
    const struct str language =
        http_request_parameter(site->request, "language");
    if (language.len == 0) {
        return phrase->raw;
    }
    return str_starts(language, STR("zh")) ? phrase->zh : phrase->en;
}

static uint32_t read_bearer(struct world *world,
                            const struct http_request *request)
{
    struct str value = http_request_field(request, "authorization");
    if (value.len < 7 ||
        !str_eq_nocase((struct str){value.at, 7}, STR("Bearer "))) {
        return INDEX_NONE;
    }
    return world_key(world,
                     str_trim((struct str){value.at + 7, value.len - 7}));
}

static bool is_key(struct str key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.at[i] < 0x21 || key.at[i] > 0x7e) {
            return false;
        }
    }
    return key.len > 0 && key.len <= KEY_BYTES_MAX;
}

static void answer_ok(struct site *site)
{
    site->reply->status = 200;
    site->reply->type = "application/json";
}

static bool is_authorized(struct site *site)
{
    if (site->api_key != INDEX_NONE) {
        return true;
    }
    world_error(site, 401, "authentication_error", "401", say(site, &bad_key),
                NULL);
    return false;
}

/* ---- submit ---- */

static void answer_submitted(struct site *site)
{
    answer_ok(site);
    buf_printf(&site->reply->body,
               "{\"code\":200,\"data\":[{\"status\":\"submitted\","
               "\"task_id\":\"%s\"}]}",
               site->sale->id);
}

/** Whether an earlier call under the same key already settles this one. */
static bool is_replay(struct site *site)
{
    struct world *world = site->world;
    if (site->replay == INDEX_NONE || !world->options.idempotency) {
        return false;
    }
    const struct replay *replay = &world->replays[site->replay];
    if (replay->sale == INDEX_NONE || world->now_ms - replay->accepted_ms >=
                                          world->options.retention_s * 1000) {
        return false;
    }
    char digest[65];
    world_digest(site->request->body, digest);
    if (strcmp(digest, replay->digest) != 0) {
        world_error(site, 409, "invalid_request_error",
                    "\"idempotency_key_reused\"",
                    "Idempotency-Key was used with another request body", NULL);
    } else if (world->now_ms < replay->running_until_ms) {
        world_error(site, 409, "invalid_request_error",
                    "\"idempotency_in_progress\"",
                    "the first request with this Idempotency-Key is still "
                    "running",
                    NULL);
        reply_header(site->reply, "Retry-After", "1");
    } else {
        site->sale = world->sales[replay->sale];
        world->counts.replayed++;
        answer_submitted(site);
        reply_header(site->reply, "Idempotency-Replayed", "true");
    }
    return true;
}

static bool source_is_there(struct site *site, const struct order *order)
{
    if (order->mode != MODE_EXTEND) {
        return true;
    }
    char text[RULE_TEXT_BYTES];
    const struct sale *source =
        world_sale(site->world, str_of(order->extend_from));
    if (source && source->key == site->api_key &&
        sale_is_over(source, site->world->now_ms) &&
        source->fate == FATE_COMPLETE) {
        return true;
    }
    const bool known = source && source->key == site->api_key;
    snprintf(text, sizeof(text),
             known ? "extend_from_task_id %s is not completed"
                   : "extend_from_task_id %s not found",
             order->extend_from);
    world_error(site, 400, "invalid_request_error", NULL, text,
                "extend_from_task_id");
    return false;
}

static bool can_pay(struct site *site, const struct order *order)
{
    const struct world *world = site->world;
    const int64_t left = world_balance(world, site->api_key);
    if (left < 0 || left >= order->cost_micros) {
        return true;
    }
    struct buf text;
    buf_init(&text, 0);
    buf_add_text(&text, "insufficient quota: balance=");
    sale_write_micros(&text, left);
    buf_add_text(&text, ", required=");
    sale_write_micros(&text, order->cost_micros);
    world_error(site, 403, "quota_not_enough", "403", text.bytes, NULL);
    buf_done(&text);
    return false;
}

static void accept_order(struct site *site, const struct order *order)
{
    struct world *world = site->world;
    struct sale *sale =
        world_accept(world, order, site->request->body, site->api_key);
    sale->replay = site->replay;
    site->sale = sale;
    site->accepted = true;
    if (site->replay != INDEX_NONE) {
        struct replay *replay = &world->replays[site->replay];
        replay->sale = sale->number;
        replay->accepted_ms = world->now_ms;
        memcpy(replay->digest, sale->digest, sizeof(replay->digest));
    }
    const struct options *options = &world->options;
    site->reply->delay_ms =
        (uint32_t)draw_between(sale->seed, 1, (uint64_t)options->submit_min_ms,
                               (uint64_t)options->submit_max_ms);
    answer_submitted(site);
}

static void serve_submit(struct site *site)
{
    struct order order;
    struct refusal refusal;
    const struct str key = http_request_field(site->request, "idempotency-key");
    if (!is_authorized(site)) {
        return;
    }
    if (key.at && !is_key(key)) {
        world_error(site, 400, "invalid_request_error", NULL,
                    "invalid Idempotency-Key, allowed: 1-191 visible ASCII "
                    "characters",
                    "Idempotency-Key");
        return;
    }
    if (is_replay(site)) {
        return;
    }
    if (!rules_read(&order, site->request->body, &refusal)) {
        world_error(site, 400, "invalid_request_error", NULL, refusal.text,
                    refusal.param);
        return;
    }
    if (source_is_there(site, &order) && can_pay(site, &order)) {
        accept_order(site, &order);
    }
}

/** What is counted of a POST before anything decides on it. */
static void note_post(struct site *site)
{
    const struct str key = http_request_field(site->request, "idempotency-key");
    site->world->counts.posts++;
    site->world->counts.posts_again += site->request->again;
    if (site->api_key != INDEX_NONE && is_key(key)) {
        site->replay = world_replay(site->world, site->api_key, key);
        site->world->replays[site->replay].sends++;
    }
}

/** What is counted once its answer is known. */
static void note_posted(struct site *site)
{
    struct world *world = site->world;
    const int status = site->reply->status;
    if (status >= 400 && status < STATUS_MAX) {
        world->counts.refused[status]++;
    }
    if (site->accepted && site->replay != INDEX_NONE) {
        world->replays[site->replay].running_until_ms =
            world->now_ms + site->reply->delay_ms;
    }
}

/* ---- poll ---- */

static void find_polled(struct site *site)
{
    struct str id = site->request->path;
    id.at += strlen("/v1/tasks/");
    id.len -= strlen("/v1/tasks/");
    struct sale *sale = world_sale(site->world, id);
    if (sale && sale->key == site->api_key) {
        site->sale = sale;
    }
}

static void note_poll(struct site *site)
{
    struct world *world = site->world;
    struct sale *sale = site->sale;
    world->counts.polls++;
    if (!sale) {
        world->counts.polls_unknown++;
        return;
    }
    int64_t gap = world->now_ms - sale->last_poll_ms;
    const bool late = gap * 2 > world->options.poll_interval_ms * 3;
    gap = gap < 0 ? 0 : gap > GAP_MS_MAX ? GAP_MS_MAX : gap;
    world->counts.gaps[gap]++;
    world->counts.polls_late += late;
    sale->polls_late += late;
    sale->polled_us[sale->polls % SALE_POLLS_KEPT] = world->now_us;
    sale->polls++;
    sale->last_poll_ms = world->now_ms;
    if (sale->first_poll_us == 0) {
        sale->first_poll_us = world->now_us;
    }
}

static void serve_poll(struct site *site)
{
    struct world *world = site->world;
    if (!is_authorized(site)) {
        return;
    }
    if (!site->sale) {
        world_error(site, 400, "invalid_request_error", "400",
                    say(site, &bad_id), NULL);
        return;
    }
    struct sale *sale = site->sale;
    sale_view(&site->view, sale, world->now_ms, world->options.url_ttl_s,
              world->base);
    site->viewed = true;
    world_settle(world, sale);
    if (site->view.failed && say(site, &generation_failed)) {
        site->view.message = say(site, &generation_failed);
    }
    answer_ok(site);
    sale_view_write(&site->view, &site->reply->body);
}

/** When it was first said, in whatever shape, that the video is there. */
static void note_polled(struct site *site)
{
    if (site->viewed && site->reply->status == 200 && site->view.with_videos &&
        site->sale->first_completed_us == 0 &&
        strcmp(site->view.status, "completed") == 0) {
        site->sale->first_completed_us = site->world->now_us;
    }
}

/* ---- schema and balance ---- */

static void serve_schema(struct site *site)
{
    const enum schema_mode mode = site->world->options.schema;
    struct buf *out = &site->reply->body;
    if (!is_authorized(site)) {
        return;
    }
    const struct str model = http_request_parameter(site->request, "model");
    if (mode == SCHEMA_ABSENT || !str_eq(model, STR("pixverse-v6"))) {
        world_error(site, 404, "invalid_request_error", "\"not_found\"",
                    "model schema not found", NULL);
        return;
    }
    answer_ok(site);
    buf_add_text(out, "{\"code\":200,\"data\":{\"model\":\"pixverse-v6\","
                      "\"operation\":\"video_generation\"");
    if (mode == SCHEMA_YES || mode == SCHEMA_LIE) {
        buf_add_text(out, ",\"idempotency\":{\"header\":\"Idempotency-Key\","
                          "\"retention_seconds\":");
        buf_add_i64(out, site->world->options.retention_s);
        buf_add_text(out, ",\"scope\":\"api_key_endpoint\"}");
    }
    buf_add_text(out, "}}");
}

static void serve_balance(struct site *site)
{
    const struct world *world = site->world;
    struct buf *out = &site->reply->body;
    if (!is_authorized(site)) {
        return;
    }
    const struct api_key *key = &world->keys[site->api_key];
    for (uint32_t i = 0; i < world->sales_count; i++) {
        world_settle(site->world, world->sales[i]);
    }
    const int64_t left = world_balance(world, site->api_key);
    answer_ok(site);
    buf_add_text(out, "{\"success\":true,\"remain_balance\":");
    sale_write_micros(out, left < 0 ? -1000000 : left);
    buf_add_text(out, ",\"used_balance\":");
    sale_write_micros(out, key->balance_micros < 0 ? world->spent_micros
                                                   : key->spent_micros);
    buf_add_text(out, left < 0 ? ",\"unlimited_quota\":true}"
                               : ",\"unlimited_quota\":false}");
}

/* ---- the way of a call ---- */

struct route {
    struct str path;
    bool prefix;
    const char *methods;
    enum fault_on on;
    void (*serve)(struct site *site);
};

static const struct route routes[] = {
    {{"/v1/tasks/", 10}, true, "GET", ON_POLL, serve_poll},
    {{"/v1/videos/generations", 22}, false, "POST", ON_SUBMIT, serve_submit},
    {{"/f/video/", 9}, true, "GET HEAD", ON_DOWNLOAD, video_serve},
    {{"/v1/model-schema", 16}, false, "GET", ON_SCHEMA, serve_schema},
    {{"/v1/user/balance", 16}, false, "GET", ON_BALANCE, serve_balance},
    {{"/v1/balance", 11}, false, "GET", ON_BALANCE, serve_balance},
};

static const struct route *find_route(struct str path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (routes[i].prefix ? str_starts(path, routes[i].path)
                             : str_eq(path, routes[i].path)) {
            return &routes[i];
        }
    }
    return NULL;
}

static void set_now(struct world *world)
{
    struct timespec unix_time;
    struct timespec steady;
    clock_gettime(CLOCK_REALTIME, &unix_time);
    clock_gettime(CLOCK_MONOTONIC, &steady);
    world->now_us = unix_time.tv_sec * 1000000 + unix_time.tv_nsec / 1000;
    world->now_ms = steady.tv_sec * 1000 + steady.tv_nsec / 1000000;
}

static void set_base(struct world *world, const struct http_request *request)
{
    const struct str host = http_request_field(request, "host");
    if (world->options.public_url) {
        struct str url = str_of(world->options.public_url);
        while (str_ends(url, STR("/"))) {
            url.len--;
        }
        snprintf(world->base, sizeof(world->base), "%.*s", (int)url.len,
                 url.at);
    } else {
        snprintf(world->base, sizeof(world->base), "http://%.*s", (int)host.len,
                 host.len > 0 ? host.at : "");
    }
}

static const struct fault *pick(struct site *site, enum fault_stage stage)
{
    return faults_pick(&site->world->faults, stage, site,
                       site->world->options.seed);
}

static void strike(struct site *site, const struct fault *fault)
{
    if (fault) {
        site->world->counts.faults++;
        fault->kind->strike(fault, site);
    }
}

static void find_subject(struct site *site)
{
    if (site->on == ON_POLL) {
        find_polled(site);
        note_poll(site);
    } else if (site->on == ON_DOWNLOAD) {
        video_find(site);
        site->world->counts.downloads++;
    } else if (site->on == ON_SUBMIT) {
        note_post(site);
    } else if (site->on == ON_SCHEMA) {
        site->world->counts.schema++;
    } else {
        site->world->counts.balance++;
    }
}

static void serve_call(struct site *site, const struct route *route)
{
    site->reply->without_body = str_eq(site->request->method, STR("HEAD"));
    if (str_find_nocase(str_of(route->methods), site->request->method) < 0) {
        world_error(site, 405, "invalid_request_error", NULL,
                    "method not allowed", NULL);
        reply_header(site->reply, "Allow", route->methods);
        return;
    }
    site->on = route->on;
    if (route->on != ON_DOWNLOAD) {
        site->api_key = read_bearer(site->world, site->request);
        buf_printf(&site->reply->head, "X-Oneapi-Request-Id: sim-%llu\r\n",
                   (unsigned long long)site->world->request_number);
    }
    find_subject(site);
    if (site->sale) {
        strike(site, pick(site, STAGE_SALE));
    }
    site->fault = pick(site, STAGE_REPLY);
    if (!site->fault || site->fault->handled) {
        route->serve(site);
    }
    if (site->accepted) {
        strike(site, pick(site, STAGE_SALE));
    }
    strike(site, site->fault);
    if (site->on == ON_SUBMIT) {
        note_posted(site);
    } else if (site->on == ON_POLL) {
        note_polled(site);
    }
}

bool api_on_accept(void *context)
{
    struct world *world = context;
    const struct fault *fault =
        faults_pick(&world->faults, STAGE_ACCEPT, NULL, world->options.seed);
    world->counts.faults += fault != NULL;
    return !fault;
}

bool api_on_head(void *context, const struct http_request *request)
{
    struct world *world = context;
    if (world->faults.count == 0) {
        return true;
    }
    const struct route *route = find_route(request->path);
    if (!route) {
        return true;
    }
    struct site site = {.world = world, .on = route->on, .request = request};
    const struct fault *fault = pick(&site, STAGE_HEAD);
    world->counts.faults += fault != NULL;
    return !fault;
}

void api_on_request(void *context, const struct http_request *request,
                    struct reply *reply)
{
    struct world *world = context;
    const struct route *route = find_route(request->path);
    struct site site = {
        .world = world,
        .request = request,
        .reply = reply,
        .api_key = INDEX_NONE,
        .replay = INDEX_NONE,
    };
    set_now(world);
    set_base(world, request);
    world->request_number++;
    if (route) {
        serve_call(&site, route);
    } else if (str_starts(request->path, STR("/sim/"))) {
        control_serve(&site);
    } else {
        world_error(&site, 404, "invalid_request_error", "\"\"", "Invalid URL",
                    NULL);
    }
}
