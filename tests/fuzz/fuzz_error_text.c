/* tests/run: long */
#include "fuzz.h"

#include "core/provider_error.h"

/* The provider's words: always readable, never too long, without what looks
 * like a key, whatever the body holds. */

static void check_text(struct str text, size_t points)
{
    CHECK(text.at && str_is_utf8(text) && str_code_points(text) <= points);
    for (size_t i = 0; i < text.len; i++) {
        CHECK((unsigned char)text.at[i] >= 0x20 && text.at[i] != 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 400, 401, 402, 403, 404, 429, 500, 503};
    struct input input = input_of(data, size);
    struct arena arena;
    struct provider_error error = {0};
    arena_init(&arena, 4096, 0);
    struct reply reply = {.end = REPLY_WHOLE, .sent = true};
    reply.status = statuses[input_byte(&input) % 9];
    reply.body = input_rest(&input);
    provider_error_read(&reply, &arena, &error);
    check_text(error.message, PROVIDER_TEXT_POINTS_MAX);
    (void)provider_error_is_moderation(&error);
    (void)provider_error_is_balance(&error);
    (void)provider_error_says(&error, "idempotency_in_progress");
    struct str text =
        provider_text(provider_json(reply.body, &arena), 100, &arena);
    check_text(text.at ? text : STR(""), 100);
    CHECK(str_find_nocase(text, STR(" sk-0123456789abcdef")) < 0);
    arena_done(&arena);
    return 0;
}
