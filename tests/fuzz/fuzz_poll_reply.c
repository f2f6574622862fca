/* tests/run: long */
#include "fuzz.h"

#include "core/apimart.h"
#include "core/asset.h"

/* What a provider may answer to a poll. What is called finished has a result
 * that we can read again, and no answer about another task counts. What is read
 * the short way is read the long way to the same end. */

static const int statuses[] = {200, 200, 200, 202, 301, 400, 401,
                               403, 404, 429, 500, 503, 0};

/**
 * The scanner for plain answers says the same as jansson, or nothing: a byte
 * order mark, which means nothing, sends the same body the long way.
 */
static void hold_together(const struct reply *reply,
                          const struct outcome *outcome)
{
    struct arena arena;
    struct buf marked;
    struct outcome slow = {0};
    struct reply other = *reply;
    arena_init(&arena, 4096, 0);
    buf_init(&marked, 0);
    buf_add_text(&marked, "\xef\xbb\xbf");
    buf_add_str(&marked, reply->body);
    CHECK(!marked.failed);
    other.body = buf_str(&marked);
    apimart_read_poll(&other, STR("task_1"), 1795327200000, &arena, &slow);
    if (!str_starts(reply->body, STR("\xef\xbb\xbf"))) {
        CHECK(slow.kind == outcome->kind);
    }
    if (outcome->kind == OUTCOME_STILL_RUNNING && slow.kind == outcome->kind) {
        CHECK(str_eq(slow.status, outcome->status));
        CHECK(slow.progress == outcome->progress);
        CHECK(str_eq(slow.message, outcome->message));
        CHECK(slow.failure == outcome->failure && slow.hold == outcome->hold);
        CHECK(slow.has_cost == outcome->has_cost);
        CHECK(!slow.result.at && !outcome->result.at);
        CHECK(slow.generated_ms == outcome->generated_ms);
    }
    buf_done(&marked);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct arena arena;
    struct outcome outcome = {0};
    struct reply reply = {.end = REPLY_WHOLE, .sent = true};
    arena_init(&arena, 4096, 0);
    unsigned head = input_byte(&input);
    reply.status = statuses[head % (sizeof statuses / sizeof *statuses)];
    reply.body = input_rest(&input);
    apimart_read_poll(&reply, STR("task_1"), 1795327200000, &arena, &outcome);
    hold_together(&reply, &outcome);
    switch (outcome.kind) {
    case OUTCOME_FINISHED:
        if (outcome.result.at) {
            struct asset *assets = NULL;
            char *result =
                arena_copy(&arena, outcome.result.at, outcome.result.len);
            size_t len = assets_read(result, &arena, &assets);
            CHECK(len > 0);
            for (size_t i = 0; i < len; i++) {
                CHECK(assets[i].url.len > 0);
            }
        }
        break;
    case OUTCOME_UPSTREAM_FAILED:
        CHECK(outcome.failure != FAILURE_NONE);
        break;
    case OUTCOME_STILL_RUNNING:
    case OUTCOME_DENIED:
    case OUTCOME_MISSED:
        break;
    default:
        CHECK(!"an outcome of a poll");
    }
    CHECK(str_is_utf8(outcome.message) && str_is_utf8(outcome.status));
    CHECK(str_code_points(outcome.message) <= 2000);
    CHECK(!outcome.has_cost || outcome.cost >= 0);
    arena_done(&arena);
    return 0;
}
