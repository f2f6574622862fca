#include "control.h"

#include "fault.h"
#include "video.h"

static void write_ms(struct buf *out, int64_t us)
{
    buf_printf(out, "%lld.%03lld", (long long)(us / 1000),
               (long long)(us % 1000));
}

static void add_ms(struct buf *out, const char *name, int64_t us)
{
    buf_printf(out, ",\"%s\":", name);
    if (us == 0) {
        buf_add_text(out, "null");
        return;
    }
    write_ms(out, us);
}

static void add_count(struct buf *out, const char *name, uint64_t count)
{
    buf_add_text(out, ",\"");
    buf_add_text(out, name);
    buf_add_text(out, "\":");
    buf_add_i64(out, (int64_t)count);
}

/** The gap that `share` of the polls stayed within, in ms. */
static uint32_t gap_at(const struct counts *counts, uint64_t whole,
                       double share)
{
    uint64_t seen = 0;
    for (uint32_t ms = 0; ms <= GAP_MS_MAX; ms++) {
        seen += counts->gaps[ms];
        if (seen > 0 && (double)seen >= (double)whole * share) {
            return ms;
        }
    }
    return 0;
}

static void write_totals(const struct world *world, struct buf *out)
{
    const struct counts *counts = &world->counts;
    uint64_t refused = 0;
    uint64_t gaps = 0;
    for (uint32_t i = 0; i < STATUS_MAX; i++) {
        refused += counts->refused[i];
    }
    for (uint32_t i = 0; i <= GAP_MS_MAX; i++) {
        gaps += counts->gaps[i];
    }
    buf_add_text(out, "{\"posts\":");
    buf_add_i64(out, (int64_t)counts->posts);
    add_count(out, "posts_again", counts->posts_again);
    add_count(out, "accepted", counts->accepted);
    add_count(out, "billed", counts->accepted);
    add_count(out, "replayed", counts->replayed);
    add_count(out, "refused", refused);
    buf_add_text(out, ",\"refused_by_status\":{");
    const char *comma = "";
    for (uint32_t i = 0; i < STATUS_MAX; i++) {
        if (counts->refused[i] > 0) {
            buf_printf(out, "%s\"%u\":%llu", comma, i,
                       (unsigned long long)counts->refused[i]);
            comma = ",";
        }
    }
    buf_add_char(out, '}');
    add_count(out, "polls", counts->polls);
    add_count(out, "polls_late", counts->polls_late);
    add_count(out, "polls_unknown", counts->polls_unknown);
    buf_printf(out,
               ",\"poll_gap_ms\":{\"p50\":%u,\"p90\":%u,\"p99\":%u,"
               "\"max\":%u}",
               gap_at(counts, gaps, 0.5), gap_at(counts, gaps, 0.9),
               gap_at(counts, gaps, 0.99), gap_at(counts, gaps, 1));
    add_count(out, "downloads", counts->downloads);
    add_count(out, "downloads_whole", counts->downloads_whole);
    add_count(out, "download_bytes", counts->download_bytes);
    add_count(out, "schema", counts->schema);
    add_count(out, "balance", counts->balance);
    add_count(out, "faults", counts->faults);
    add_count(out, "running_peak", world->running_peak);
    buf_add_text(out, ",\"cost\":");
    sale_write_micros(out, world->spent_micros);
    buf_add_text(out, ",\"keys\":[");
    for (uint32_t i = 0; i < world->keys_count; i++) {
        const struct api_key *key = &world->keys[i];
        buf_printf(out, "%s{\"api_key\":\"%s\"", i ? "," : "",
                   key->fingerprint);
        add_count(out, "accepted", key->accepted);
        add_count(out, "running_peak", key->running_peak);
        buf_add_text(out, ",\"cost\":");
        sale_write_micros(out, key->spent_micros);
        buf_add_char(out, '}');
    }
    buf_add_text(out, "]}");
}

static void write_file(struct world *world, struct sale *sale, uint32_t index,
                       bool with_hash, struct buf *out)
{
    const struct sale_file *file = &video_files(sale)[index];
    buf_add_text(out, index > 0 ? ",{\"url\":\"" : "{\"url\":\"");
    buf_add_text(out, world->base);
    sale_file_path(sale, index, false, out);
    buf_add_char(out, '"');
    if (with_hash) {
        video_measure(world, sale, index);
        add_count(out, "bytes", file->bytes);
        buf_add_text(out, ",\"sha256\":\"");
        buf_add_text(out, file->sha256);
        buf_add_char(out, '"');
    }
    add_count(out, "downloads", file->downloads);
    add_count(out, "whole", file->whole);
    buf_add_char(out, '}');
}

static void write_key(const struct world *world, const struct sale *sale,
                      struct buf *out)
{
    buf_add_text(out, ",\"key\":");
    if (sale->replay == INDEX_NONE) {
        buf_add_text(out, "null,\"sends\":1");
        return;
    }
    const struct replay *replay = &world->replays[sale->replay];
    buf_add_json(out, str_of(replay->key));
    add_count(out, "sends", replay->sends);
}

/** Of the latest ones, in order. */
static void write_polls(const struct sale *sale, struct buf *out)
{
    const uint32_t kept =
        sale->polls < SALE_POLLS_KEPT ? sale->polls : SALE_POLLS_KEPT;
    buf_add_text(out, ",\"polled_ms\":[");
    for (uint32_t n = sale->polls - kept; n < sale->polls; n++) {
        buf_add_text(out, n > sale->polls - kept ? "," : "");
        write_ms(out, sale->polled_us[n % SALE_POLLS_KEPT]);
    }
    buf_add_char(out, ']');
}

static void write_sale(struct world *world, struct sale *sale, bool with_hash,
                       struct buf *out)
{
    struct sale_view view;
    sale_view(&view, sale, world->now_ms, world->options.url_ttl_s, "");
    world_settle(world, sale);
    buf_add_text(out, "{\"task_id\":\"");
    buf_add_text(out, sale->id);
    buf_add_char(out, '"');
    write_key(world, sale, out);
    buf_printf(out, ",\"api_key\":\"%s\",\"digest\":\"%s\",\"mode\":\"%s\"",
               world->keys[sale->key].fingerprint, sale->digest,
               rules_mode_name(sale->mode));
    buf_add_text(out, ",\"request\":");
    buf_add(out, sale->body, sale->body_bytes);
    add_ms(out, "at_ms", sale->accepted_us);
    buf_add_text(out, ",\"billed\":true,\"refunded\":");
    buf_add_text(out, sale->refunded ? "true" : "false");
    buf_add_text(out, ",\"cost\":");
    sale_write_micros(out, sale->cost_micros);
    buf_printf(out, ",\"status\":\"%s\"", view.status);
    add_count(out, "latency_ms", (uint64_t)sale->latency_ms);
    add_count(out, "polls", sale->polls);
    add_count(out, "polls_late", sale->polls_late);
    add_ms(out, "first_poll_ms", sale->first_poll_us);
    add_ms(out, "last_poll_ms", sale_last_poll_us(sale));
    write_polls(sale, out);
    add_ms(out, "first_completed_at_ms", sale->first_completed_us);
    buf_add_text(out, ",\"videos\":[");
    if (view.with_videos) {
        for (uint32_t i = 0; i < sale->videos * sale->urls; i++) {
            write_file(world, sale, i, with_hash, out);
        }
    }
    buf_add_text(out, "]}");
}

/** Idempotency keys whose POSTs all came to nothing. */
static void write_unbilled(const struct world *world, struct buf *out)
{
    const char *comma = "";
    buf_add_text(out, ",\"unbilled\":[");
    for (uint32_t i = 0; i < world->replays_count; i++) {
        const struct replay *replay = &world->replays[i];
        if (replay->sale == INDEX_NONE) {
            buf_add_text(out, comma);
            buf_add_text(out, "{\"key\":");
            buf_add_json(out, str_of(replay->key));
            buf_printf(out, ",\"sends\":%u}", replay->sends);
            comma = ",";
        }
    }
    buf_add_char(out, ']');
}

/** Those that were polled at that time or later; all, if it is 0. */
static void write_sales(struct world *world, int64_t since_ms, bool with_hash,
                        struct buf *out)
{
    const char *comma = "";
    buf_add_text(out, ",\"tasks\":[");
    for (uint32_t i = 0; i < world->sales_count; i++) {
        if (sale_last_poll_us(world->sales[i]) >= since_ms * 1000) {
            buf_add_text(out, comma);
            buf_add_char(out, '\n');
            write_sale(world, world->sales[i], with_hash, out);
            comma = ",";
        }
    }
    buf_add_char(out, ']');
}

static void serve_ledger(struct site *site)
{
    struct world *world = site->world;
    struct buf *out = &site->reply->body;
    const struct str summary = http_request_parameter(site->request, "summary");
    const struct str hash = http_request_parameter(site->request, "sha256");
    int64_t since_ms = 0;
    (void)str_to_i64(http_request_parameter(site->request, "polled_since"), 0,
                     INT64_C(1) << 50, &since_ms); /* absent: all */
    buf_add_text(out, "{\"totals\":");
    write_totals(world, out);
    if (!str_eq(summary, STR("1"))) {
        write_sales(world, since_ms, !str_eq(hash, STR("0")), out);
        write_unbilled(world, out);
    }
    buf_add_text(out, "}\n");
}

static void serve_stats(struct site *site)
{
    struct world *world = site->world;
    const struct counts *counts = &world->counts;
    struct buf *out = &site->reply->body;
    buf_printf(out, "{\"tasks\":%u", world->sales_count);
    add_count(out, "running", world_running(world));
    add_count(out, "running_peak", world->running_peak);
    add_count(out, "posts", counts->posts);
    add_count(out, "posts_again", counts->posts_again);
    add_count(out, "accepted", counts->accepted);
    add_count(out, "replayed", counts->replayed);
    add_count(out, "polls", counts->polls);
    add_count(out, "polls_late", counts->polls_late);
    add_count(out, "downloads", counts->downloads);
    add_count(out, "downloads_whole", counts->downloads_whole);
    add_count(out, "faults", counts->faults);
    add_count(out, "requests", world->request_number);
    buf_add_text(out, "}\n");
}

static void serve_faults(struct site *site)
{
    struct world *world = site->world;
    struct err err = {0};
    const struct str method = site->request->method;
    if (str_eq(method, STR("DELETE"))) {
        faults_clear(&world->faults);
    } else if (str_eq(method, STR("POST")) &&
               !faults_add(&world->faults, site->request->body, &err)) {
        world_error(site, 400, "invalid_request_error", NULL, err.text, NULL);
        return;
    }
    faults_write(&world->faults, &site->reply->body);
}

static void serve_reset(struct site *site)
{
    world_reset(site->world);
    buf_add_text(&site->reply->body, "{\"reset\":true}\n");
}

void control_serve(struct site *site)
{
    static const struct {
        struct str path;
        const char *methods;
        void (*serve)(struct site *site);
    } routes[] = {
        {{"/sim/ledger", 11}, "GET", serve_ledger},
        {{"/sim/stats", 10}, "GET", serve_stats},
        {{"/sim/faults", 11}, "GET POST DELETE", serve_faults},
        {{"/sim/reset", 10}, "POST", serve_reset},
    };
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!str_eq(site->request->path, routes[i].path)) {
            continue;
        }
        if (str_find_nocase(str_of(routes[i].methods), site->request->method) <
            0) {
            world_error(site, 405, "invalid_request_error", NULL,
                        "method not allowed", NULL);
            reply_header(site->reply, "Allow", routes[i].methods);
            return;
        }
        site->reply->status = 200;
        site->reply->type = "application/json";
        routes[i].serve(site);
        return;
    }
    world_error(site, 404, "invalid_request_error", NULL,
                "allowed: /sim/ledger /sim/stats /sim/faults /sim/reset", NULL);
}
