#include "core/video_tables.h"
#include "lib/check.h"

#include <stdlib.h>
#include <string.h>

/* What test_video shows of whole films is not shown again here. */

TEST_CASE(video_read_moov__nothing_inside__points_to_nothing)
{
    const struct video_tables tables = video_read_moov(STR(""));
    assert_int_equal(tables.media_end, 0);
    assert_false(tables.fragmented);
}

TEST_CASE(video_read_moov__a_box_that_is_cut__is_not_whole)
{
    static const unsigned char cut[] = {0, 0, 0, 20, 't', 'r', 'a', 'k', 0};
    const struct video_tables tables =
        video_read_moov((struct str){(const char *)cut, sizeof cut});
    assert_false(tables.whole);
    assert_int_equal(tables.media_end, 0);
}

TEST_CASE(video_read_moov__an_empty_box__tiles)
{
    static const unsigned char box[] = {0, 0, 0, 8, 'f', 'r', 'e', 'e'};
    const struct video_tables tables =
        video_read_moov((struct str){(const char *)box, sizeof box});
    assert_true(tables.whole);
    assert_false(tables.fragmented);
}

TEST_CASE(video_tables__random_boxes__never_harm)
{
    static const char *const types[] = {"trak", "mdia", "minf", "stbl", "stsz",
                                        "stco", "co64", "stsc", "mvex", "traf",
                                        "trun", "tfhd", "mfro"};
    uint32_t seed = 99;
    for (int turn = 0; turn < 20000; turn++) {
        const size_t len = (size_t)turn % 300;
        char *exact = malloc(len + 1); /* so that a read behind it is seen */
        assert_non_null(exact);
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525u + 1013904223u;
            exact[i] = (char)(seed >> 24 & (turn % 2 ? 0xff : 0x1f));
        }
        for (size_t i = 0; i + 8 <= len; i += 8 + (size_t)turn % 24) {
            seed = seed * 1664525u + 1013904223u;
            memcpy(exact + i + 4, types[(seed >> 16) % 13], 4);
        }
        char *body = realloc(exact, len ? len : 1);
        const struct str text = {body, len};
        (void)video_read_moov(text);
        (void)video_read_moof(text, 100);
        (void)video_read_sidx(text, 1000);
        (void)video_read_mfra(text, len + 8);
        free(body);
    }
}

TESTS_RUN(NULL, NULL)
