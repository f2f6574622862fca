#include "core/codec.h"
#include "lib/check.h"

#include <stdlib.h>
#include <string.h>

/* What test_media shows of real films is not shown again here. */

/** A sample description of one entry: its type, and a box inside of it. */
static const char *name_of(const char *type, bool video, const char *config,
                           const void *bytes, size_t len)
{
    static char out[CODEC_BYTES];
    const size_t fixed = video ? 78 : 28;
    const size_t inside = config ? 8 + len : 0;
    const size_t all = 8 + 8 + fixed + inside;
    char *stsd = calloc(1, all); /* exact: a read behind it is seen */
    assert_non_null(stsd);
    stsd[0] = 1; /* ISO's, not QuickTime's */
    stsd[7] = 1;
    stsd[11] = (char)(all - 8);
    memcpy(stsd + 12, type, 4);
    if (config) {
        char *box = stsd + 16 + fixed;
        box[3] = (char)inside;
        memcpy(box + 4, config, 4);
        memcpy(box + 8, bytes, len);
    }
    codec_name((struct str){stsd, all}, video, out);
    free(stsd);
    return out;
}

#define NAME(type, video, config, ...)                                         \
    name_of(type, video, config, (unsigned char[]){__VA_ARGS__},               \
            sizeof((unsigned char[]){__VA_ARGS__}))

TEST_CASE(codec_name__pictures__by_their_configuration)
{
    assert_string_equal(NAME("avc1", true, "avcC", 1, 0x64, 0, 0x1f, 0xff),
                        "avc1.64001f");
    assert_string_equal(NAME("avc3", true, "avcC", 1, 0x42, 0xc0, 0x1e),
                        "avc3.42c01e");
    assert_string_equal(NAME("hvc1", true, "hvcC", 1, 0x01, 0x60, 0, 0, 0, 0xb0,
                             0, 0, 0, 0, 0, 93),
                        "hvc1.1.6.L93.B0");
    assert_string_equal(NAME("hev1", true, "hvcC", 1, 0xe2, 0x20, 0, 0, 0, 0x90,
                             0, 1, 0, 0, 0, 153),
                        "hev1.C2.4.H153.90.0.1");
    assert_string_equal(NAME("av01", true, "av1C", 0x81, 0x04, 0x00, 0),
                        "av01.0.04M.08");
    assert_string_equal(NAME("av01", true, "av1C", 0x81, 0x4d, 0xe0, 0),
                        "av01.2.13H.12");
    assert_string_equal(NAME("av01", true, "av1C", 0x81, 0x08, 0x40, 0),
                        "av01.0.08M.10");
    assert_string_equal(NAME("vp09", true, "vpcC", 1, 0, 0, 0, 2, 41, 0xa2),
                        "vp09.02.41.10");
}

TEST_CASE(codec_name__the_longest__fits)
{
    assert_string_equal(NAME("hvc1", true, "hvcC", 1, 0xff, 0xff, 0xff, 0xff,
                             0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
                        "hvc1.C31.FFFFFFFF.H255.FF.FF.FF.FF.FF.FF");
}

TEST_CASE(codec_name__sound__by_its_descriptors)
{
    assert_string_equal(NAME("mp4a", false, "esds", 0, 0, 0, 0, 3, 25, 0, 1, 0,
                             4, 17, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                             5, 2, 0x12, 0x08),
                        "mp4a.40.2");
    /* long lengths, and all that may stand before the configuration */
    assert_string_equal(NAME("mp4a", false, "esds", 0, 0, 0, 0, 3, 0x80, 0x80,
                             0x80, 40, 0, 1, 0xe0, 0, 9, 2, 'x', 'y', 0, 7, 4,
                             0x80, 17, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                             0, 5, 2, 0xf9, 0x40),
                        "mp4a.40.42");
    assert_string_equal(
        NAME("mp4a", false, "esds", 0, 0, 0, 0, 3, 25, 0, 1, 0, 4, 13, 0x6b),
        "mp4a.6b");
    assert_string_equal(name_of("Opus", false, NULL, "", 0), "Opus");
    assert_string_equal(name_of("ac-3", false, NULL, "", 0), "ac-3");
    assert_string_equal(name_of("raw ", false, NULL, "", 0), "raw");
}

TEST_CASE(codec_name__what_can_not_be_told__is_none)
{
    assert_string_equal(name_of("avc1", true, NULL, "", 0), "");
    assert_string_equal(NAME("avc1", true, "avcC", 1, 0x64, 0), "");
    assert_string_equal(NAME("hvc1", true, "hvcC", 1, 1, 0x60), "");
    assert_string_equal(NAME("mp4a", false, "esds", 0, 0, 0, 0, 4, 1), "");
    assert_string_equal(NAME("mp4a", false, "esds", 0, 0, 0, 0, 3, 0x80, 0x80,
                             0x80, 0x80, 0, 1, 0, 4, 13, 0x6b),
                        "");
    assert_string_equal(NAME("mp4a", false, "esds", 0, 0, 0, 0, 3, 25, 0, 1, 0,
                             4, 17, 0x40, 0x15),
                        "");
    assert_string_equal(name_of("a\"b,", true, NULL, "", 0), "");
    assert_string_equal(name_of("    ", true, NULL, "", 0), "");
    char out[CODEC_BYTES] = "x";
    codec_name((struct str){0}, true, out);
    assert_string_equal(out, "");
}

TESTS_RUN(NULL, NULL)
