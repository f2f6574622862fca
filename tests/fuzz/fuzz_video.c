/* tests/run: long */
#include "fuzz.h"

#include "core/video.h"

#include <ctype.h>
#include <string.h>

/* The first byte says how the rest is cut: the verdict must not depend on
 * it. */

/** What is told of it fits the schema of events, whatever stands in it. */
static void check_media(const struct media *media)
{
    CHECK((media->width == 0) == (media->height == 0));
    CHECK(media->width >= 0 && media->width <= 65535);
    CHECK(media->height >= 0 && media->height <= 65535);
    CHECK(media->duration_ms >= 0);
    CHECK(media->frame_rate_milli >= 0 && media->frame_rate_milli <= 1000000);
    for (int i = 0; i < MEDIA_TRACKS_MAX; i++) {
        const char *codec = media->codecs[i];
        CHECK(strnlen(codec, CODEC_BYTES) < CODEC_BYTES);
        CHECK(i == 0 || !codec[0] || media->codecs[i - 1][0]);
        for (; *codec; codec++) {
            CHECK(isalnum((unsigned char)*codec) || strchr(".-_+", *codec));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    size_t step = input_byte(&input) % 37 + 1;
    struct video_check whole;
    struct video_check pieces;
    video_check_init(&whole);
    video_check_init(&pieces);
    video_check_add(&whole, input.at, input.len);
    for (size_t at = 0; at < input.len; at += step) {
        size_t left = input.len - at;
        video_check_add(&pieces, input.at + at, left < step ? left : step);
    }
    for (int complete = 0; complete < 2; complete++) {
        const struct video_verdict a = video_check_end(&whole, complete);
        const struct video_verdict b = video_check_end(&pieces, complete);
        CHECK(a.fault == b.fault && a.proven == b.proven);
        CHECK(!a.fault || !a.proven);
        CHECK(memcmp(&a.media, &b.media, sizeof a.media) == 0);
        CHECK(!a.fault || !media_is_known(&a.media));
        check_media(&a.media);
        CHECK(!complete || a.fault || a.proven);
    }
    const struct video_verdict open = video_check_end(&whole, false);
    CHECK(open.fault || !video_check_end(&whole, true).fault);
    if (open.proven) { /* cut within its media it isn't */
        struct video_check cut;
        video_check_init(&cut);
        if (whole.media_end > 0) {
            video_check_add(&cut, input.at, (size_t)whole.media_end - 1);
            CHECK(!video_check_end(&cut, false).proven);
        }
        video_check_done(&cut);
    }
    video_check_done(&whole);
    video_check_done(&pieces);
    return 0;
}
