/* tests/run: long */
#include "fuzz.h"

#include "core/apimart.h"

/* What a provider may answer to a submission: a status, then the body. Only a
 * documented refusal or an id may end a doubt, and an id can be stored. */

static const int statuses[] = {200, 200, 201, 202, 204, 301, 400, 401, 402,
                               403, 404, 405, 409, 411, 413, 414, 415, 422,
                               429, 431, 500, 502, 503, 504, 529, 0};

/** The scanner for plain answers says the same as jansson, or nothing: a byte
 * order mark, which means nothing, sends the same body the long way. */
static void hold_together(const struct reply *reply,
                          const struct outcome *outcome)
{
    struct arena arena;
    struct buf marked;
    struct outcome slow = {0};
    struct reply other = *reply;
    if (str_starts(reply->body, STR("\xef\xbb\xbf"))) {
        return;
    }
    arena_init(&arena, 4096, 0);
    buf_init(&marked, 0);
    buf_add_text(&marked, "\xef\xbb\xbf");
    buf_add_str(&marked, reply->body);
    CHECK(!marked.failed);
    other.body = buf_str(&marked);
    apimart_read_submit(&other, 1795327200000, &arena, &slow);
    CHECK(slow.kind == outcome->kind);
    CHECK(str_eq(slow.provider_task_id, outcome->provider_task_id));
    if (slow.kind == OUTCOME_ACCEPTED) {
        CHECK(str_eq(slow.message, outcome->message));
        CHECK(slow.http_status == outcome->http_status);
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
    reply.replayed = head & 0x80;
    reply.retry_after = input_until(&input, '\n');
    reply.body = input_rest(&input);
    apimart_read_submit(&reply, 1795327200000, &arena, &outcome);
    hold_together(&reply, &outcome);
    switch (outcome.kind) {
    case OUTCOME_ACCEPTED:
        CHECK(reply.status >= 200 && reply.status < 300);
        CHECK(apimart_is_task_id(outcome.provider_task_id));
        break;
    case OUTCOME_REFUSED:
    case OUTCOME_PUT_OFF:
        CHECK(reply.status != 502 && reply.status != 504 && reply.status != 0);
        break;
    case OUTCOME_UNANSWERED:
    case OUTCOME_INDETERMINATE:
        break;
    default:
        CHECK(!"an outcome of a submission that was sent");
    }
    CHECK(outcome.retry_after_ms >= 0);
    CHECK(str_is_utf8(outcome.message) && str_is_utf8(outcome.provider_code));
    CHECK(str_code_points(outcome.message) <= 2000);
    arena_done(&arena);
    return 0;
}
