#include "core/video_tables.h"

#include "core/box.h"

#include <assert.h>

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* ---- moov ---- */

/** The tables of one track. */
struct samples {
    struct box_reader offsets; /* stco or co64 */
    size_t offset_bytes;
    uint64_t chunks;
    struct box_reader sizes; /* stsz or stz2 */
    uint64_t samples;
    uint64_t same; /* all of this size; 0: each has its own */
    int size_bits;
    bool half; /* of 4 bits: the lower half comes next */
    unsigned halves;
    struct box_reader runs; /* stsc */
    uint64_t runs_left;
};

static bool open_table(struct str body, struct box_reader *reader, size_t flags)
{
    assert(flags > 0);
    *reader = (struct box_reader){body, false};
    box_skip(reader, flags);
    return body.at && !reader->is_short;
}

static bool open_samples(struct str stbl, struct samples *s)
{
    struct str stco = box_find(stbl, "stco");
    struct str stsz = box_find(stbl, "stsz");
    *s = (struct samples){.offset_bytes = stco.at ? 4 : 8, .size_bits = 32};
    if (!open_table(stco.at ? stco : box_find(stbl, "co64"), &s->offsets, 4) ||
        !open_table(box_find(stbl, "stsc"), &s->runs, 4) ||
        !open_table(stsz.at ? stsz : box_find(stbl, "stz2"), &s->sizes, 4)) {
        return false;
    }
    s->chunks = box_take(&s->offsets, 4);
    s->runs_left = box_take(&s->runs, 4);
    s->same = box_take(&s->sizes, 4);
    if (!stsz.at) {
        s->size_bits = (int)(s->same & 0xff);
        s->same = 0;
    }
    s->samples = box_take(&s->sizes, 4);
    return !s->offsets.is_short && !s->runs.is_short && !s->sizes.is_short &&
           (s->size_bits == 4 || s->size_bits == 8 || s->size_bits == 16 ||
            s->size_bits == 32);
}

static uint64_t next_size(struct samples *s)
{
    assert(s->size_bits > 0);
    if (s->same) {
        return s->same;
    }
    if (s->size_bits != 4) {
        return box_take(&s->sizes, (size_t)s->size_bits / 8);
    }
    s->half = !s->half;
    if (s->half) {
        s->halves = (unsigned)box_take(&s->sizes, 1);
        return s->halves >> 4;
    }
    return s->halves & 15;
}

/** What `count` samples measure. */
static uint64_t sum_sizes(struct samples *s, uint64_t count)
{
    uint64_t sum = 0;
    if (count > s->samples) {
        count = s->samples;
    }
    s->samples -= count;
    if (s->same) {
        return count > UINT64_MAX / s->same ? UINT64_MAX : count * s->same;
    }
    while (count-- > 0 && !s->sizes.is_short) {
        sum = plus(sum, next_size(s));
    }
    return sum;
}

/** The end of a track's media, 0: it has none; false: its tables don't say. */
static bool track_end(struct str stbl, uint64_t *out)
{
    struct samples s;
    uint64_t end = 0;
    *out = 0;
    if (!stbl.at || !open_samples(stbl, &s)) {
        return false;
    }
    uint64_t per_chunk = 0;
    uint64_t next_first = s.runs_left ? box_take(&s.runs, 4) : 0;
    for (uint64_t chunk = 1; chunk <= s.chunks && s.samples > 0; chunk++) {
        while (s.runs_left && next_first <= chunk && !s.runs.is_short) {
            per_chunk = box_take(&s.runs, 4);
            box_skip(&s.runs, 4);
            s.runs_left--;
            next_first = s.runs_left ? box_take(&s.runs, 4) : 0;
        }
        const uint64_t offset = box_take(&s.offsets, s.offset_bytes);
        const uint64_t bytes = sum_sizes(&s, per_chunk);
        if (s.offsets.is_short || s.runs.is_short || s.sizes.is_short) {
            return false;
        }
        end = bytes ? later(end, plus(offset, bytes)) : end;
    }
    *out = end;
    return s.samples == 0;
}

/** Whether the track's media lies in this very file. */
static bool is_inside(struct str minf)
{
    struct box_reader dref;
    struct box box;
    if (!open_table(box_find(minf, "dinf/dref"), &dref, 8)) {
        return true;
    }
    while (box_next(&dref, &box)) {
        struct box_reader entry = {box.body, false};
        if ((box_take(&entry, 4) & 1) == 0) {
            return false;
        }
    }
    return true;
}

struct video_tables video_read_moov(struct str body)
{
    struct video_tables tables = {0};
    struct box_reader reader = {body, false};
    struct box box;
    while (box_next(&reader, &box)) {
        if (box_is(&box, "mvex")) {
            tables.fragmented = true;
        } else if (box_is(&box, "trak")) {
            struct str minf = box_find(box.body, "mdia/minf");
            uint64_t end = 0;
            if (is_inside(minf)) {
                tables.blind |= !track_end(box_find(minf, "stbl"), &end);
            }
            tables.media_end = later(tables.media_end, end);
        }
    }
    tables.whole = !reader.is_short;
    return tables;
}

/* ---- fragments ---- */

/** One track of a fragment. */
struct fragment {
    uint64_t base; /* what data offsets count from */
    /* of a sample; 0: the track's, which we don't know */
    uint64_t default_size;
};

static uint64_t run_end(struct str trun, const struct fragment *fragment,
                        uint64_t *at)
{
    assert(at);
    struct box_reader reader = {trun, false};
    const uint64_t flags = box_take(&reader, 4);
    const uint64_t count = box_take(&reader, 4);
    if (flags & 0x1) { /* a signed distance */
        *at = fragment->base +
              (uint64_t)(int64_t)(int32_t)(uint32_t)box_take(&reader, 4);
    }
    if (flags & 0x4) {
        box_skip(&reader, 4);
    }
    uint64_t bytes = 0;
    for (uint64_t i = 0; (flags & 0xf00) && i < count && !reader.is_short;
         i++) {
        box_skip(&reader, flags & 0x100 ? 4 : 0);
        bytes = plus(bytes, flags & 0x200 ? box_take(&reader, 4)
                                          : fragment->default_size);
        box_skip(&reader, (flags & 0x400 ? 4 : 0) + (flags & 0x800 ? 4U : 0U));
    }
    if (!(flags & 0xf00)) {
        bytes = count * fragment->default_size; /* both of 32 bits */
    }
    *at = plus(*at, bytes);
    /* Before the start of the file: no place of a medium. */
    return reader.is_short || bytes == 0 || *at > INT64_MAX ? 0 : *at;
}

struct video_tables video_read_moof(struct str body, uint64_t at)
{
    struct video_tables tables = {.fragmented = true};
    struct box_reader reader = {body, false};
    struct box box;
    uint64_t behind = at; /* the data of the track before */
    while (box_next(&reader, &box)) {
        struct box_reader inner = {box.body, false};
        struct fragment fragment = {.base = behind};
        struct box leaf;
        while (box_is(&box, "traf") && box_next(&inner, &leaf)) {
            struct box_reader tfhd = {leaf.body, false};
            if (box_is(&leaf, "tfhd")) {
                const uint64_t flags = box_take(&tfhd, 4);
                box_skip(&tfhd, 4);
                fragment.base = flags & 0x1       ? box_take(&tfhd, 8)
                                : flags & 0x20000 ? at
                                                  : behind;
                box_skip(&tfhd,
                         (flags & 0x2 ? 4 : 0) + (flags & 0x8 ? 4U : 0U));
                fragment.default_size = flags & 0x10 ? box_take(&tfhd, 4) : 0;
                behind = fragment.base;
            } else if (box_is(&leaf, "trun")) {
                tables.media_end = later(
                    tables.media_end, run_end(leaf.body, &fragment, &behind));
            }
        }
    }
    tables.whole = !reader.is_short;
    return tables;
}

uint64_t video_read_sidx(struct str body, uint64_t end)
{
    struct box_reader reader = {body, false};
    const bool wide = box_take(&reader, 4) >> 24 != 0;
    box_skip(&reader, 8 + (wide ? 8 : 4));
    uint64_t at = plus(end, box_take(&reader, wide ? 8 : 4));
    box_skip(&reader, 2);
    const uint64_t count = box_take(&reader, 2);
    for (uint64_t i = 0; i < count; i++) {
        at = plus(at, box_take(&reader, 4) & 0x7fffffff);
        box_skip(&reader, 8);
    }
    return reader.is_short || count == 0 ? 0 : at;
}

bool video_read_mfra(struct str body, uint64_t box_bytes)
{
    struct box_reader reader = {body, false};
    struct box box = {.type = ""};
    while (box_next(&reader, &box)) {
    }
    if (reader.is_short || !box_is(&box, "mfro") || box.body.len < 8) {
        return false;
    }
    struct box_reader mfro = {box.body, false};
    box_skip(&mfro, 4);
    return box_take(&mfro, 4) == box_bytes;
}
