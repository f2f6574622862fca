#include "core/provider_error.h"
#include "lib/check.h"

TEST_CASE(provider_error_read__body_that_cant_be_read__says_why)
{
    struct arena arena;
    struct provider_error error;
    arena_init(&arena, 4096, 0);
    struct reply reply = {.end = REPLY_WHOLE,
                          .sent = true,
                          .status = 409,
                          .body = STR("\x01\x02"),
                          .why = "the reply came in the content coding \"x\""};
    provider_error_read(&reply, &arena, &error);
    assert_int_equal(error.status, 409);
    assert_false(error.worded);
    assert_true(str_eq(error.message,
                       STR("the provider answered with HTTP status 409; the "
                           "reply came in the content coding \"x\"")));
    reply.why[0] = '\0';
    provider_error_read(&reply, &arena, &error);
    assert_true(str_eq(error.message,
                       STR("the provider answered with HTTP status 409")));
    arena_done(&arena);
}

TESTS_RUN(NULL, NULL)
