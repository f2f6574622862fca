#include "core/codec.h"

#include "core/box.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define VISUAL_BYTES 78 /* of a sample entry before its boxes */
#define SOUND_BYTES 28
#define SOUND_MORE_BYTES 16  /* QuickTime's second version has so many more */
#define DESCRIPTION_BYTES 13 /* of a decoder's configuration */
#define AAC 0x40             /* kinds of objects, ISO/IEC 14496-1 table 5 */
#define MPEG4_VISUAL 0x20

/** Writes what stands behind the type; false: it can't be read. */
typedef bool details_fn(struct box_reader *config, char *out, size_t len);

static bool avc(struct box_reader *config, char *out, size_t len)
{
    box_skip(config, 1);
    const unsigned numbers = (unsigned)box_take(config, 3);
    snprintf(out, len, ".%06x", numbers);
    return true;
}

static uint32_t reversed(uint32_t bits)
{
    uint32_t out = 0;
    for (int i = 0; i < 32; i++) {
        out = out << 1 | (bits >> i & 1);
    }
    return out;
}

static bool hevc(struct box_reader *config, char *out, size_t len)
{
    static const char *const spaces[] = {"", "A", "B", "C"};
    unsigned char constraints[6];
    size_t last = 0;
    box_skip(config, 1);
    const unsigned profile = (unsigned)box_take(config, 1);
    const uint32_t fits = (uint32_t)box_take(config, 4);
    for (size_t i = 0; i < sizeof constraints; i++) {
        constraints[i] = (unsigned char)box_take(config, 1);
        last = constraints[i] ? i + 1 : last;
    }
    const unsigned level = (unsigned)box_take(config, 1);
    int at =
        snprintf(out, len, ".%s%u.%X.%c%u", spaces[profile >> 6], profile & 31,
                 reversed(fits), profile & 32 ? 'H' : 'L', level);
    for (size_t i = 0; i < last; i++) {
        assert(at > 0 && (size_t)at < len);
        at += snprintf(out + at, len - (size_t)at, ".%X", constraints[i]);
    }
    return true;
}

static bool av1(struct box_reader *config, char *out, size_t len)
{
    box_skip(config, 1);
    const unsigned first = (unsigned)box_take(config, 1);
    const unsigned second = (unsigned)box_take(config, 1);
    const unsigned bits = !(second & 0x40)                       ? 8
                          : (first >> 5) == 2 && (second & 0x20) ? 12
                                                                 : 10;
    snprintf(out, len, ".%u.%02u%c.%02u", first >> 5, first & 31,
             second & 0x80 ? 'H' : 'M', bits);
    return true;
}

static bool vp9(struct box_reader *config, char *out, size_t len)
{
    box_skip(config, 4);
    const unsigned profile = (unsigned)box_take(config, 1);
    const unsigned level = (unsigned)box_take(config, 1);
    const unsigned bits = (unsigned)box_take(config, 1) >> 4;
    snprintf(out, len, ".%02u.%02u.%02u", profile, level, bits);
    return true;
}

/** The next descriptor of ISO/IEC 14496-1 is one of that tag: go into it. */
static bool enter(struct box_reader *reader, unsigned tag)
{
    if (box_take(reader, 1) != tag) {
        return false;
    }
    for (int i = 0; i < 4; i++) { /* its length, which nobody needs */
        if (!(box_take(reader, 1) & 0x80)) {
            return !reader->is_short;
        }
    }
    return false;
}

static bool mpeg4(struct box_reader *config, char *out, size_t len)
{
    box_skip(config, 4);
    if (!enter(config, 3)) {
        return false;
    }
    box_skip(config, 2);
    const unsigned flags = (unsigned)box_take(config, 1);
    box_skip(config, flags & 0x80 ? 2 : 0);
    box_skip(config, flags & 0x40 ? box_take(config, 1) : 0);
    box_skip(config, flags & 0x20 ? 2 : 0);
    if (!enter(config, 4)) {
        return false;
    }
    const unsigned object = (unsigned)box_take(config, 1);
    snprintf(out, len, ".%02x", object);
    if (object != AAC && object != MPEG4_VISUAL) {
        return true;
    }
    box_skip(config, DESCRIPTION_BYTES - 1);
    if (!enter(config, 5)) {
        return false;
    }
    unsigned kind = 0;
    if (object == AAC) { /* 5 bits; all of them: 6 more */
        const unsigned bits = (unsigned)box_take(config, 1);
        kind = bits >> 3;
        if (kind == 31) {
            kind = 32 + ((bits & 7) << 3 | (unsigned)box_take(config, 1) >> 5);
        }
    } else if (box_take(config, 4) == 0x1b0) { /* its first start code */
        kind = (unsigned)box_take(config, 1);
    } else {
        return false;
    }
    snprintf(out, len, ".%02x.%u", object, kind);
    return true;
}

/* Types that are nothing without what their configuration says. */
static const struct {
    const char *type;
    const char *config;
    details_fn *details;
} known[] = {
    {"avc1", "avcC", avc},  {"avc3", "avcC", avc},   {"hvc1", "hvcC", hevc},
    {"hev1", "hvcC", hevc}, {"av01", "av1C", av1},   {"vp08", "vpcC", vp9},
    {"vp09", "vpcC", vp9},  {"mp4a", "esds", mpeg4}, {"mp4v", "esds", mpeg4},
};

/** A type alone is a name, too, if it is made of plain characters. */
static bool plain(const char *type, char out[static CODEC_BYTES])
{
    size_t len = strlen(type);
    while (len > 0 && type[len - 1] == ' ') {
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)type[i]) && !strchr(".-_+", type[i])) {
            return false;
        }
    }
    snprintf(out, CODEC_BYTES, "%.*s", (int)len, type);
    return len > 0;
}

/** The boxes inside a sample entry. */
static struct str inner(const struct box *entry, bool video, bool quicktime)
{
    struct box_reader reader = {entry->body, false};
    box_skip(&reader, 8);
    const bool more = !video && quicktime && box_take(&reader, 2) == 1;
    reader = (struct box_reader){entry->body, false};
    box_skip(&reader, (video ? VISUAL_BYTES : SOUND_BYTES) +
                          (more ? (size_t)SOUND_MORE_BYTES : 0));
    return reader.is_short ? (struct str){0} : reader.rest;
}

void codec_name(struct str stsd, bool video, char out[static CODEC_BYTES])
{
    struct box_reader reader = {stsd, false};
    struct box entry;
    out[0] = '\0';
    const bool quicktime = box_take(&reader, 1) == 0;
    box_skip(&reader, 7);
    if (!box_next(&reader, &entry) || !plain(entry.type, out)) {
        return;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!box_is(&entry, known[i].type)) {
            continue;
        }
        const struct str boxes = inner(&entry, video, quicktime);
        struct str config = box_find(boxes, known[i].config);
        if (!config.at) { /* QuickTime's wrapping */
            config = box_find(box_find(boxes, "wave"), known[i].config);
        }
        struct box_reader body = {config, false};
        if (!known[i].details(&body, out + 4, CODEC_BYTES - 4) ||
            body.is_short) {
            out[0] = '\0';
        }
        return;
    }
}
