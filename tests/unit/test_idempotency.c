#include <string.h>

#include "lib/check.h"
#include "core/idempotency.h"

static const char salt[SALT_BYTES] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

/** SHA-256 of "content". */
static const char content[] =
    "\xed\x70\x02\xb4\x39\xe9\xac\x84\x5f\x22\x35\x7d\x82\x2b\xac\x14\x44\x73"
    "\x0f\xbd\xb6\x01\x6d\x3e\xc9\x43\x22\x97\xb9\xec\x9f\x73";

static struct send_identity order(int32_t submission)
{
    return (struct send_identity){
        .salt = {salt, sizeof salt},
        .request_id = STR("order-1"),
        .content = {content, DIGEST_BYTES},
        .submission = submission,
    };
}

static const char *key_of(struct send_identity send)
{
    static char keys[2][IDEMPOTENCY_KEY_BYTES];
    static int at;
    at = 1 - at;
    assert_true(idempotency_key(&send, keys[at]));
    return keys[at];
}

/* Another program, and a later one of ours, must come to the same keys: these
 * are hashlib.sha256 of Python over the parts, each behind its length. */
TEST_CASE(idempotency_key__known_parts__is_the_known_key)
{
    static const struct {
        int32_t submission;
        const char *key;
    } cases[] = {
        {0, "d5a6d1f020f69285c6765227a8796134c3368de5259c1e43f747e65d1142ea77"},
        {1, "2c5308e25a8c5c499083393916b50806ac1fd96566498de0868102577937a3bb"},
        {11,
         "0e4e7c01d30c4ff725f093b9a7939134b682ef635973d9e112a11c778cb50609"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(key_of(order(cases[i].submission)), cases[i].key);
    }
    struct send_identity again = order(0);
    again.attempt = 1;
    assert_string_equal(
        key_of(again),
        "8e7ee92a92a1540f3af06196a4a2a33288c055ed7c65d542fe0958077046eead");
    struct send_identity other = order(0);
    other.request_id = STR("order-11");
    assert_string_equal(
        key_of(other),
        "705b5828bc590ac0ef53a069fe22ecea045ebc7e702b1d755cca3afff53f9b4b");
}

/* A part's end is no other's start: "1" + "23" is not "12" + "3". */
TEST_CASE(idempotency_key__parts_that_read_alike__differ)
{
    struct send_identity one = order(1);
    struct send_identity two = order(11);
    one.attempt = 11;
    two.attempt = 1;
    assert_string_not_equal(key_of(one), key_of(two));
    one = two = order(0);
    one.request_id = STR("ab");
    one.content = STR("c");
    two.request_id = STR("a");
    two.content = STR("bc");
    assert_string_not_equal(key_of(one), key_of(two));
}

TEST_CASE(idempotency_key__any_part__changes_it)
{
    const char other[SALT_BYTES] = {1};
    struct send_identity sends[] = {order(0), order(0), order(0), order(1),
                                    order(0)};
    sends[0].salt.at = other;
    sends[1].request_id = STR("order-2");
    sends[2].content.at = other;
    sends[4].attempt = 1;
    for (size_t i = 0; i < sizeof sends / sizeof *sends; i++) {
        assert_string_not_equal(key_of(sends[i]), key_of(order(0)));
    }
}

TESTS_RUN(NULL, NULL)
