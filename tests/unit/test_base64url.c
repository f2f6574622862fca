#include "core/base64url.h"
#include "lib/check.h"

static void check_both(const char *bytes, size_t len, const char *text)
{
    struct buf out;
    buf_init(&out, 0);
    base64url_add(&out, (struct str){bytes, len});
    assert_true(str_eq(buf_str(&out), str_of(text)));
    buf_reset(&out);
    assert_true(base64url_read(&out, str_of(text)));
    assert_true(str_eq(buf_str(&out), (struct str){bytes, len}));
    buf_done(&out);
}

TEST_CASE(base64url__bytes__there_and_back)
{
    check_both("", 0, "");
    check_both("f", 1, "Zg");
    check_both("fo", 2, "Zm8");
    check_both("foo", 3, "Zm9v");
    check_both("foobar", 6, "Zm9vYmFy");
    check_both("\xfb\xff\xfe\0\xff", 5, "-__-AP8");
}

TEST_CASE(base64url_read__no_such_text__is_refused)
{
    static const char *const texts[] = {"Zg==", "Zm9v+", "a/bc",
                                        "Z",    "Zm9vY", "Zm 9v"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buf out;
        buf_init(&out, 0);
        assert_false(base64url_read(&out, str_of(texts[i])));
        buf_done(&out);
    }
    struct buf out;
    buf_init(&out, 0);
    assert_false(base64url_read(&out, (struct str){"Zg\0g", 4}));
    buf_done(&out);
}

TESTS_RUN(NULL, NULL)
