#include "core/box.h"
#include "lib/check.h"

#include <stdlib.h>
#include <string.h>

/* Every text lies in a piece of memory of its own size: a read behind it is
 * seen by the sanitizer. */

static char *exact(const void *bytes, size_t len)
{
    char *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return copy;
}

static void assert_body(struct str body, const char *want)
{
    assert_int_equal(body.len, strlen(want));
    assert_memory_equal(body.at, want, body.len);
}

/* ---- numbers ---- */

TEST_CASE(box_take__numbers__are_big_endian)
{
    char *bytes = exact("\x01\x02\x03\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8", 11);
    struct box_reader reader = {{bytes, 11}, false};
    assert_int_equal(box_take(&reader, 1), 0x01);
    assert_int_equal(box_take(&reader, 2), 0x0203);
    assert_true(box_take(&reader, 8) == UINT64_C(0xfffefdfcfbfaf9f8));
    assert_int_equal(reader.rest.len, 0);
    assert_false(reader.is_short);
    free(bytes);
}

TEST_CASE(box_take__more_than_there_is__is_0_and_said)
{
    char *bytes = exact("\x01\x02\x03", 3);
    struct box_reader reader = {{bytes, 3}, false};
    assert_int_equal(box_take(&reader, 4), 0);
    assert_true(reader.is_short);
    assert_int_equal(reader.rest.len, 0); /* nothing after it is trusted */
    free(bytes);
}

TEST_CASE(box_skip__more_than_there_is__stops_at_the_end)
{
    char *bytes = exact("\x01\x02\x03", 3);
    struct box_reader reader = {{bytes, 3}, false};
    box_skip(&reader, 3);
    assert_false(reader.is_short);
    box_skip(&reader, SIZE_MAX);
    assert_true(reader.is_short);
    assert_int_equal(reader.rest.len, 0);
    free(bytes);
}

TEST_CASE(box_skip__of_nothing__is_fine)
{
    struct box_reader reader = {{NULL, 0}, false};
    box_skip(&reader, 0);
    assert_false(reader.is_short);
}

/* ---- boxes ---- */

TEST_CASE(box_next__boxes_in_a_row__come_one_by_one)
{
    char *bytes = exact("\0\0\0\x0a"
                        "freeab"
                        "\0\0\0\x08"
                        "skip",
                        18);
    struct box_reader reader = {{bytes, 18}, false};
    struct box box;
    assert_true(box_next(&reader, &box));
    assert_true(box_is(&box, "free"));
    assert_body(box.body, "ab");
    assert_true(box_next(&reader, &box));
    assert_true(box_is(&box, "skip"));
    assert_false(box_is(&box, "free"));
    assert_body(box.body, "");
    assert_false(box_next(&reader, &box));
    assert_false(reader.is_short);
    free(bytes);
}

TEST_CASE(box_next__a_long_size__is_read)
{
    char *bytes = exact("\0\0\0\x01"
                        "mdat"
                        "\0\0\0\0\0\0\0\x12"
                        "ab",
                        18);
    struct box_reader reader = {{bytes, 18}, false};
    struct box box;
    assert_true(box_next(&reader, &box));
    assert_body(box.body, "ab");
    free(bytes);
}

TEST_CASE(box_next__size_0__goes_to_the_end)
{
    char *bytes = exact("\0\0\0\0mdatabc", 11);
    struct box_reader reader = {{bytes, 11}, false};
    struct box box;
    assert_true(box_next(&reader, &box));
    assert_body(box.body, "abc");
    assert_false(box_next(&reader, &box));
    free(bytes);
}

TEST_CASE(box_next__what_is_not_whole__is_none)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool is_short;
    } cases[] = {
        {"\0\0\0\x0b"
         "freeab",
         10, true}, /* a byte more than there is */
        {"\xff\xff\xff\xff"
         "free",
         8, true},
        {"\0\0\0\x07"
         "free",
         8, true}, /* less than its head */
        {"\0\0\0\x01"
         "mdat\0\0\0\0",
         12, true}, /* a long size that is cut */
        {"\0\0\0\x01"
         "mdat\0\0\0\0\0\0\0\x0f",
         16, true}, /* a long size below its head */
        {"\0\0\0\x01"
         "mdat\xff\xff\xff\xff\xff\xff\xff\xff",
         16, true},
        {"\0\0\0\0", 4, false}, /* QuickTime's end of a list */
        {"\0\0", 2, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *bytes = exact(cases[i].bytes, cases[i].len);
        struct box_reader reader = {{bytes, cases[i].len}, false};
        struct box box;
        assert_false(box_next(&reader, &box));
        assert_int_equal(reader.is_short, cases[i].is_short);
        assert_int_equal(reader.rest.len, 0);
        free(bytes);
    }
}

/* ---- paths ---- */

static const char tree[] = "\0\0\0\x08"
                           "skip"
                           "\0\0\0\x22"
                           "mdia"
                           "\0\0\0\x0a"
                           "minfno"
                           "\0\0\0\x10"
                           "hdlr"
                           "\0\0\0\x08"
                           "deep"
                           "\0\0\0\x09"
                           "mdiax";

TEST_CASE(box_find__a_path__is_followed_to_the_first)
{
    char *bytes = exact(tree, sizeof tree - 1);
    const struct str all = {bytes, sizeof tree - 1};
    assert_body(box_find(all, "mdia/minf"), "no");
    assert_int_equal(box_find(all, "mdia").len, 0x1a);
    assert_int_equal(box_find(all, "mdia/hdlr").len, 8);
    assert_non_null(box_find(all, "mdia/hdlr/deep").at);
    assert_true(box_find(all, "").at == bytes);
    free(bytes);
}

TEST_CASE(box_find__what_is_not_there__is_none)
{
    static const char *const paths[] = {"minf", "mdia/deep", "skip/skip",
                                        "mdia/hdlr/deep/deep"};
    char *bytes = exact(tree, sizeof tree - 1);
    const struct str all = {bytes, sizeof tree - 1};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_null(box_find(all, paths[i]).at);
    }
    assert_null(box_find((struct str){0}, "mdia").at);
    free(bytes);
}

TESTS_RUN(NULL, NULL)
