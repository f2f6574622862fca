#include "confirm.h"
#include "order.h"
#include "pruned.h"
#include "send.h"
#include "when.h"

#include "base/arena.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS 200
#define CHUNK_BYTES (16 << 20) /* sent together: in memory */
#define CHUNK_EVENTS 4000
#define COUNT_MAX INT64_C(1000000)
#define TOPIC_BYTES_MAX 249 /* Kafka's */

/* clang-format off */
static const struct option options[] = {
    {"--since", "TIME", "all that settled within 90s, 30m, 2h or 7d, or since 2026-11-22[T06:00:00]", false},
    {"--until", "TIME", "and before that", false},
    {"--tenant", "NAME", "only this tenant's", false},
    {"--to", "TOPIC", "another topic than the one of events", false},
    CONFIRM_OPTIONS,
    {"--json", NULL, "one JSON object an event", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/** Events that are sent together. */
struct chunk {
    struct arena arena;
    struct event *events;
    struct outgoing *all;
    bool *acknowledged;
    size_t len;
    int64_t bytes;
    int64_t last_ms; /* the end of the last */
};

struct announcing {
    struct ctl *ctl;
    const char *topic;
    struct chunk chunk;
    size_t sent;
    size_t failed;
};

static bool chunk_init(struct chunk *chunk)
{
    *chunk = (struct chunk){0};
    arena_init(&chunk->arena, 1 << 20, 4 * CHUNK_BYTES);
    chunk->events = calloc(CHUNK_EVENTS, sizeof *chunk->events);
    chunk->all = calloc(CHUNK_EVENTS, sizeof *chunk->all);
    chunk->acknowledged = calloc(CHUNK_EVENTS, sizeof *chunk->acknowledged);
    return chunk->events && chunk->all && chunk->acknowledged;
}

static void chunk_done(struct chunk *chunk)
{
    free(chunk->events);
    free(chunk->all);
    free(chunk->acknowledged);
    arena_done(&chunk->arena);
}

static struct str header(const struct event *event, const char *name)
{
    for (size_t i = 0; i < event->headers_len; i++) {
        if (str_eq(event->headers[i].name, str_of(name))) {
            return event->headers[i].value;
        }
    }
    return STR("");
}

static void tell(const struct announcing *a, const struct event *event)
{
    struct str id = header(event, "ce_id");
    struct str type = header(event, "ce_type");
    if (!a->ctl->json) {
        return;
    }
    json_t *line =
        json_pack("{s:s%, s:s%, s:s%, s:s}", "request_id", event->key.at,
                  event->key.len, "ce_id", id.at, id.len, "ce_type", type.at,
                  type.len, "topic", a->topic);
    ctl_print_json(line);
    json_decref(line);
}

/** Send what is there; false: not all of it is acknowledged. */
static bool flush(struct announcing *a)
{
    struct chunk *chunk = &a->chunk;
    size_t sent = chunk->len
                      ? send_messages(a->ctl, NULL, "announce", chunk->all,
                                      chunk->len, chunk->acknowledged)
                      : 0;
    bool good = sent == chunk->len;
    for (size_t i = 0; i < chunk->len; i++) {
        if (chunk->acknowledged[i]) {
            tell(a, &chunk->events[i]);
        } else {
            order_refuse("announce", "%.*s was not acknowledged",
                         (int)chunk->events[i].key.len,
                         chunk->events[i].key.at);
        }
    }
    a->sent += sent;
    a->failed += chunk->len - sent;
    chunk->len = 0;
    chunk->bytes = 0;
    arena_reset(&chunk->arena);
    return good;
}

/** The message that its worker sent: the same key, headers and value. */
static bool add(struct announcing *a, const char *request_id,
                const json_t *stored)
{
    struct chunk *chunk = &a->chunk;
    size_t len = json_string_length(stored);
    char *text = arena_copy(&chunk->arena, json_string_value(stored), len);
    struct event *event = &chunk->events[chunk->len];
    if (!text || !event_open((struct str){text, len}, event)) {
        order_refuse("announce", "the stored event of %s can't be read",
                     request_id);
        a->failed++;
        return true;
    }
    chunk->all[chunk->len++] = (struct outgoing){
        .topic = a->topic,
        .key = event->key,
        .value = event->value,
        .headers = event->headers,
        .headers_len = event->headers_len,
    };
    chunk->bytes += (int64_t)len;
    return (chunk->len < CHUNK_EVENTS && chunk->bytes < CHUNK_BYTES) ||
           flush(a);
}

/* ---- By id ---- */

/** false: nothing of it is announced, and why was said. */
static bool add_request(struct announcing *a, const char *request_id,
                        const json_t *row)
{
    char words[200];
    size_t i;
    const json_t *stored;
    const json_t *events = json_object_get(row, "events");
    if (!row) {
        order_refuse("announce", "no request \"%s\" is stored", request_id);
    } else if (pruned_at_ms(row)) {
        order_refuse("announce", "%s: %s", request_id,
                     pruned_words(row, words, sizeof words));
    } else if (!events) {
        order_refuse("announce", "%s %s", request_id,
                     json_object_get(row, "untold")
                         ? "has ended, and its worker announces it by itself "
                           "as soon as the broker takes it"
                         : "has not ended: there is no event of it yet");
    }
    json_array_foreach(events, i, stored)
    {
        if (!add(a, request_id, stored)) {
            return false;
        }
    }
    return events != NULL;
}

static int by_id(struct announcing *a, const struct options *given)
{
    struct buf ids;
    ids_literal(&ids, given->words, given->words_len);
    const char *param = ids.bytes;
    json_t *rows =
        param ? ctl_rows(a->ctl, "ctl_announce_ids", &param, 1) : NULL;
    bool good = rows != NULL;
    for (size_t i = 0; rows && i < given->words_len; i++) {
        size_t at;
        json_t *row;
        const json_t *found = NULL;
        json_array_foreach(rows, at, row)
        {
            if (strcmp(row_text(row, "request_id"), given->words[i]) == 0) {
                found = row;
            }
        }
        good = add_request(a, given->words[i], found) && good;
    }
    json_decref(rows);
    buf_done(&ids);
    good = flush(a) && good;
    return good && a->failed == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* ---- By time ---- */

struct span {
    char since[24];
    char until[24];
    const char *tenant;
};

static bool read_time(const struct options *given, const char *name,
                      int64_t without_ms, char out[24])
{
    int64_t time_ms = without_ms;
    const char *text = options_get(given, name);
    if (text && !when_read_ago(text, &time_ms)) {
        ctl_usage("announce", "%s is \"%s\", allowed: " WHEN_AGO_ALLOWED, name,
                  text);
        return false;
    }
    snprintf(out, 24, "%" PRId64, time_ms);
    return true;
}

static int64_t count(struct ctl *ctl, const struct span *span)
{
    char most[24];
    snprintf(most, sizeof most, "%" PRId64, COUNT_MAX + 1);
    const char *const params[] = {span->since, span->until, span->tenant, most};
    json_t *rows = ctl_rows(ctl, "ctl_announce_count", params, 4);
    int64_t n = rows ? row_number(json_array_get(rows, 0), "n") : -1;
    json_decref(rows);
    return n;
}

/** All of them, in the order of their ends. */
static bool announce_span(struct announcing *a, const struct span *span)
{
    char at[24] = "0";
    char id[24] = "0";
    char fence[24] = "0";
    char page[16];
    size_t len = PAGE_ROWS;
    bool good = true;
    snprintf(page, sizeof page, "%d", PAGE_ROWS);
    while (good && len == PAGE_ROWS) {
        const char *const params[] = {
            span->since, span->until, span->tenant, at, id, fence, page};
        json_t *rows = ctl_rows(a->ctl, "ctl_announce", params, 7);
        size_t i;
        json_t *row;
        len = json_array_size(rows);
        good = rows != NULL;
        json_array_foreach(rows, i, row)
        {
            snprintf(at, sizeof at, "%" PRId64, row_number(row, "at_ms"));
            snprintf(id, sizeof id, "%" PRId64, row_number(row, "id"));
            snprintf(fence, sizeof fence, "%" PRId64, row_number(row, "fence"));
            good = good && add(a, row_text(row, "request_id"),
                               json_object_get(row, "event"));
        }
        json_decref(rows);
    }
    return flush(a) && good;
}

static int by_time(struct announcing *a, const struct options *given)
{
    struct span span = {.tenant = options_get(given, "--tenant")};
    if (!read_time(given, "--since", 0, span.since) ||
        !read_time(given, "--until", INT64_MAX, span.until)) {
        return EXIT_USAGE;
    }
    int64_t n = count(a->ctl, &span);
    if (n <= 0) {
        if (n == 0) {
            fputs("no event fits\n", a->ctl->json ? stderr : stdout);
        }
        return n < 0 ? EXIT_FAILED : EXIT_DONE;
    }
    switch (confirm(a->ctl, "announce", given,
                    "announce %s%" PRId64 " event%s once more on %s",
                    n > COUNT_MAX ? "more than " : "",
                    n > COUNT_MAX ? COUNT_MAX : n, n == 1 ? "" : "s",
                    a->topic)) {
    case CONFIRM_DO:
        break;
    case CONFIRM_DRY:
        return EXIT_DONE;
    case CONFIRM_NOT:
        return EXIT_FAILED;
    }
    if (!announce_span(a, &span) || a->failed) {
        fprintf(stderr,
                "pixverse-ctl announce: not all of them: the same again is "
                "safe (who reads them knows a repeat by its ce_id)\n");
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

/* ---- The whole ---- */

static bool is_topic(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= TOPIC_BYTES_MAX && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                        "0123456789._-") == len;
}

static bool read_topic(struct announcing *a, const struct options *given)
{
    const char *to = options_get(given, "--to");
    a->topic = to ? to : a->ctl->settings.kafka_event_topic;
    if (!is_topic(a->topic)) {
        ctl_usage("announce",
                  "--to \"%s\" is no topic, allowed: [A-Za-z0-9._-]{1,%d}",
                  a->topic, TOPIC_BYTES_MAX);
        return false;
    }
    if (strcmp(a->topic, a->ctl->settings.kafka_request_topic) == 0) {
        ctl_usage("announce",
                  "--to %s is the topic of requests: an event is "
                  "none",
                  a->topic);
        return false;
    }
    return true;
}

static int run(struct ctl *ctl, const struct options *given)
{
    static const char *const spans[] = {"--until", "--tenant", "--dry-run"};
    struct announcing a = {.ctl = ctl};
    bool by_since = options_has(given, "--since");
    if (by_since == (given->words_len > 0)) {
        return ctl_usage("announce", "it wants request ids, or --since");
    }
    for (size_t i = 0; !by_since && i < sizeof spans / sizeof *spans; i++) {
        if (options_has(given, spans[i])) {
            return ctl_usage("announce", "%s goes with --since, not with ids",
                             spans[i]);
        }
    }
    if (!read_topic(&a, given)) {
        return EXIT_USAGE;
    }
    int status = EXIT_FAILED;
    if (!chunk_init(&a.chunk)) {
        order_refuse("announce", "no memory");
    } else {
        status = by_since ? by_time(&a, given) : by_id(&a, given);
    }
    if (a.sent && !ctl->json) {
        printf("%zu event%s on %s once more\n", a.sent, a.sent == 1 ? "" : "s",
               a.topic);
    }
    chunk_done(&a.chunk);
    return status;
}

const struct command command_announce = {
    .name = "announce",
    .usage = "REQUEST-ID... | --since TIME [flags]",
    .help = "tell the ends of requests once more, for who lost them",
    .text =
        "The stored events go out again, with the same ce_id, key, headers and "
        "bytes as the\nfirst time: who reads them knows a repeat by its ce_id. "
        "Earlier ends of a request\n(before a retry, or a late success) are "
        "among them. With --since in the order of the\nends, after it was "
        "asked for; a script says --yes. Nothing is bought and no row\n"
        "changes. What has not been told yet is announced by its worker.\n\n"
        "Examples:\n"
        "  pixverse-ctl announce order-1234.clip-1\n"
        "  pixverse-ctl announce --since 2h --tenant studio-a --dry-run\n"
        "  pixverse-ctl announce --since 2026-11-22T06:00:00 --to "
        "pixverse.events.repair --yes\n",
    .options = options,
    .run = run,
};
