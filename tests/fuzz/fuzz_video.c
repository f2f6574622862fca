/* tests/run: long */
#include "fuzz.h"

#include "core/video.h"

/* The first byte says how the rest is cut: the verdict must not depend on it.
 */

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
    const char *a = video_check_end(&whole);
    const char *b = video_check_end(&pieces);
    CHECK((!a && !b) || (a && b && strcmp(a, b) == 0));
    if (!a) { /* whole: with a byte less it isn't */
        struct video_check cut;
        video_check_init(&cut);
        video_check_add(&cut, input.at, input.len - 1);
        /* A last box "to the end of the file" has no length to miss. */
        CHECK(video_check_end(&cut) || whole.box_left == UINT64_MAX);
    }
    return 0;
}
