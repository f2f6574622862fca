/* tests/run: long */
#include "fuzz.h"

#include "core/apimart.h"
#include "core/asset.h"

/* What a provider may answer to a poll. What is called finished has a result
 * that we can read again, and no answer about another task counts. */

static const int statuses[] = {200, 200, 200, 202, 301, 400, 401,
                               403, 404, 429, 500, 503, 0};

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
