#include "core/bearer.h"

#include "base/buf.h"
#include "core/base64url.h"
#include "lib/check.h"

#define NOW_MS INT64_C(1750000000000)

static bool read_claims(const char *claims, struct bearer *bearer,
                        struct err *err)
{
    struct buf token;
    buf_init(&token, 0);
    buf_add_text(&token, "eyJhbGciOiJSUzI1NiJ9.");
    base64url_add(&token, str_of(claims));
    buf_add_text(&token, ".c2lnbmF0dXJl");
    const bool good = bearer_read(buf_str(&token), NOW_MS, bearer, err);
    buf_done(&token);
    return good;
}

TEST_CASE(bearer_read__a_jwt__says_whose_it_is_and_until_when)
{
    struct bearer bearer;
    struct err err = {0};
    assert_true(
        read_claims("{\"sub\":\"worker\",\"exp\":1750000060}", &bearer, &err));
    assert_string_equal(bearer.principal, "worker");
    assert_int_equal(bearer.until_ms, NOW_MS + 60000);
    assert_true(read_claims("{\"exp\":1750000060.5}", &bearer, &err));
    assert_string_equal(bearer.principal, "token");
    assert_int_equal(bearer.until_ms, NOW_MS + 60500);
}

TEST_CASE(bearer_read__one_that_lives_long__is_read_again_in_minutes)
{
    static const char *const claims[] = {
        "{\"exp\":1850000000}",
        "{\"exp\":1e300}",
        "{\"exp\":-5}",
        "{\"exp\":\"soon\"}",
        "{}",
    };
    struct bearer bearer;
    struct err err = {0};
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        assert_true(read_claims(claims[i], &bearer, &err));
        assert_int_equal(bearer.until_ms, NOW_MS + BEARER_LIFE_MS);
    }
    static const char *const opaque[] = {"opaque", "a.b", "a.!!.c", "..",
                                         "a.bnVsbA.c"};
    for (size_t i = 0; i < sizeof opaque / sizeof opaque[0]; i++) {
        assert_true(bearer_read(str_of(opaque[i]), NOW_MS, &bearer, &err));
        assert_int_equal(bearer.until_ms, NOW_MS + BEARER_LIFE_MS);
    }
}

TEST_CASE(bearer_read__expired_or_no_token__is_named_without_it)
{
    struct bearer bearer;
    struct err err = {0};
    assert_false(read_claims("{\"exp\":1749999990}", &bearer, &err));
    assert_non_null(strstr(err.text, "expired 10 s ago"));
    assert_int_equal(err.kind, ERR_TRANSIENT);
    assert_false(read_claims("{\"exp\":1750000000}", &bearer, &err));
    assert_false(bearer_read(STR(""), NOW_MS, &bearer, &err));
    assert_non_null(strstr(err.text, "empty"));
    assert_false(bearer_read(STR("CANARY two"), NOW_MS, &bearer, &err));
    assert_null(strstr(err.text, "CANARY"));
    assert_false(bearer_read(STR("a\nb"), NOW_MS, &bearer, &err));
    assert_false(bearer_read(STR("\xc3\xa9"), NOW_MS, &bearer, &err));
}

TESTS_RUN(NULL, NULL)
