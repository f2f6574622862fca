#include "core/host.h"
#include "lib/check.h"

#include <string.h>

TEST_CASE(host_to_ascii__any_script__as_browsers_write_it)
{
    static const char *const rows[][2] = {
        {"bücher.example", "xn--bcher-kva.example"},
        {"BÜCHER.example", "xn--bcher-kva.example"},
        {"bu\xcc\x88"
         "cher.example",
         "xn--bcher-kva.example"},
        {"例え.jp", "xn--r8jz45g.jp"},
        {"中国。cn", "xn--fiqs8s.cn"},
        {"пример.рф", "xn--e1afmkfd.xn--p1ai"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[HOST_BYTES_MAX + 1] = "";
        if (!host_to_ascii(str_of(rows[i][0]), out) ||
            strcmp(out, rows[i][1]) != 0) {
            fail_msg("%s: %s, not %s", rows[i][0], out, rows[i][1]);
        }
    }
}

TEST_CASE(host_to_ascii__not_certain__leaves_the_room)
{
    static const char *const rows[] = {
        "\xff\xfe.example", /* no UTF-8 */
        "a\xe2\x80\x8d"
        "b.example",                /* a joiner */
        "\xf0\x9f\x98\x80.example", /* a picture */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[HOST_BYTES_MAX + 1] = "as it was";
        if (host_to_ascii(str_of(rows[i]), out)) {
            fail_msg("row %zu is %s", i, out);
        }
        assert_string_equal(out, "as it was");
    }
}

TEST_CASE(host_to_ascii__too_long__is_none)
{
    char label[64 * 2 + 1] = "";
    for (int i = 0; i < 64; i++) {
        strcat(label, "ü");
    }
    char out[HOST_BYTES_MAX + 1] = "";
    assert_false(host_to_ascii(str_of(label), out));
    char name[800] = "";
    for (int i = 0; i < 60; i++) {
        strcat(name, "büch.");
    }
    assert_false(host_to_ascii(str_of(name), out));
}

TESTS_RUN(NULL, NULL)
