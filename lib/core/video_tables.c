#include "core/video_tables.h"

#include <string.h>

#define DEEP_MAX 8

/* ---- reading ---- */

/** Bytes that are read from the front; short: more was asked than there was. */
struct reader {
    struct str rest;
    bool is_short;
};

static uint64_t take(struct reader *reader, size_t len)
{
    uint64_t value = 0;
    if (reader->rest.len < len) {
        reader->is_short = true;
        reader->rest.len = 0;
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | (unsigned char)reader->rest.at[i];
    }
    reader->rest.at += len;
    reader->rest.len -= len;
    return value;
}

static void skip(struct reader *reader, size_t len)
{
    if (reader->rest.len < len) {
        reader->is_short = true;
        len = reader->rest.len;
    }
    if (len > 0) { /* an empty rest may have no place */
        reader->rest.at += len;
        reader->rest.len -= len;
    }
}

struct box {
    char type[5];
    struct str body;
};

/** The next box, cut off the front. False: there is none, or no whole one. */
static bool next_box(struct reader *reader, struct box *box)
{
    if (reader->rest.len == 0) {
        return false;
    }
    const size_t before = reader->rest.len;
    uint64_t size = take(reader, 4);
    const char *type = reader->rest.at;
    skip(reader, 4);
    if (size == 1) {
        size = take(reader, 8);
    } else if (size == 0) {
        size = before;
    }
    const size_t head = before - reader->rest.len;
    if (reader->is_short || size < head || size - head > reader->rest.len) {
        /* QuickTime ends some lists with four zero bytes. */
        reader->is_short = before >= 8;
        reader->rest.len = 0;
        return false;
    }
    memcpy(box->type, type, 4);
    box->type[4] = '\0';
    box->body = (struct str){reader->rest.at, (size_t)(size - head)};
    skip(reader, box->body.len);
    return true;
}

static bool is(const struct box *box, const char *type)
{
    return strcmp(box->type, type) == 0;
}

/** The first box of that path ("mdia/minf/stbl"); absent: none. */
static struct str find(struct str body, const char *path)
{
    while (*path) {
        struct reader reader = {body, false};
        struct box box;
        bool found = false;
        while (!found && next_box(&reader, &box)) {
            found = memcmp(box.type, path, 4) == 0;
        }
        if (!found) {
            return (struct str){0};
        }
        body = box.body;
        path += path[4] ? 5 : 4;
    }
    return body;
}

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
    struct reader offsets; /* stco or co64 */
    size_t offset_bytes;
    uint64_t chunks;
    struct reader sizes; /* stsz or stz2 */
    uint64_t samples;
    uint64_t same; /* all of this size; 0: each has its own */
    int size_bits;
    bool half; /* of 4 bits: the lower half comes next */
    unsigned halves;
    struct reader runs; /* stsc */
    uint64_t runs_left;
};

static bool open_table(struct str body, struct reader *reader, size_t flags)
{
    *reader = (struct reader){body, false};
    skip(reader, flags);
    return body.at && !reader->is_short;
}

static bool open_samples(struct str stbl, struct samples *s)
{
    struct str stco = find(stbl, "stco");
    struct str stsz = find(stbl, "stsz");
    *s = (struct samples){.offset_bytes = stco.at ? 4 : 8, .size_bits = 32};
    if (!open_table(stco.at ? stco : find(stbl, "co64"), &s->offsets, 4) ||
        !open_table(find(stbl, "stsc"), &s->runs, 4) ||
        !open_table(stsz.at ? stsz : find(stbl, "stz2"), &s->sizes, 4)) {
        return false;
    }
    s->chunks = take(&s->offsets, 4);
    s->runs_left = take(&s->runs, 4);
    s->same = take(&s->sizes, 4);
    if (!stsz.at) {
        s->size_bits = (int)(s->same & 0xff);
        s->same = 0;
    }
    s->samples = take(&s->sizes, 4);
    return !s->offsets.is_short && !s->runs.is_short && !s->sizes.is_short &&
           (s->size_bits == 4 || s->size_bits == 8 || s->size_bits == 16 ||
            s->size_bits == 32);
}

static uint64_t next_size(struct samples *s)
{
    if (s->same) {
        return s->same;
    }
    if (s->size_bits != 4) {
        return take(&s->sizes, (size_t)s->size_bits / 8);
    }
    s->half = !s->half;
    if (s->half) {
        s->halves = (unsigned)take(&s->sizes, 1);
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

/** The end of a track's media; 0: none, or its tables can't be read. */
static uint64_t track_end(struct str stbl)
{
    struct samples s;
    uint64_t end = 0;
    if (!open_samples(stbl, &s)) {
        return 0;
    }
    uint64_t per_chunk = 0;
    uint64_t next_first = s.runs_left ? take(&s.runs, 4) : 0;
    for (uint64_t chunk = 1; chunk <= s.chunks && s.samples > 0; chunk++) {
        while (s.runs_left && next_first <= chunk && !s.runs.is_short) {
            per_chunk = take(&s.runs, 4);
            skip(&s.runs, 4);
            s.runs_left--;
            next_first = s.runs_left ? take(&s.runs, 4) : 0;
        }
        const uint64_t offset = take(&s.offsets, s.offset_bytes);
        const uint64_t bytes = sum_sizes(&s, per_chunk);
        if (s.offsets.is_short || s.runs.is_short || s.sizes.is_short) {
            return 0;
        }
        end = bytes ? later(end, plus(offset, bytes)) : end;
    }
    return end;
}

/** Whether the track's media lies in this very file. */
static bool is_inside(struct str minf)
{
    struct reader dref;
    struct box box;
    if (!open_table(find(minf, "dinf/dref"), &dref, 8)) {
        return true;
    }
    while (next_box(&dref, &box)) {
        struct reader entry = {box.body, false};
        if ((take(&entry, 4) & 1) == 0) {
            return false;
        }
    }
    return true;
}

struct video_tables video_read_moov(struct str body)
{
    struct video_tables tables = {0};
    struct reader reader = {body, false};
    struct box box;
    while (next_box(&reader, &box)) {
        if (is(&box, "mvex")) {
            tables.fragmented = true;
        } else if (is(&box, "trak")) {
            struct str minf = find(box.body, "mdia/minf");
            struct str stbl = find(minf, "stbl");
            if (stbl.at && is_inside(minf)) {
                tables.media_end = later(tables.media_end, track_end(stbl));
            }
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
    struct reader reader = {trun, false};
    const uint64_t flags = take(&reader, 4);
    const uint64_t count = take(&reader, 4);
    if (flags & 0x1) { /* a signed distance */
        *at = fragment->base +
              (uint64_t)(int64_t)(int32_t)(uint32_t)take(&reader, 4);
    }
    if (flags & 0x4) {
        skip(&reader, 4);
    }
    uint64_t bytes = 0;
    for (uint64_t i = 0; (flags & 0xf00) && i < count && !reader.is_short;
         i++) {
        skip(&reader, flags & 0x100 ? 4 : 0);
        bytes = plus(bytes,
                     flags & 0x200 ? take(&reader, 4) : fragment->default_size);
        skip(&reader, (flags & 0x400 ? 4 : 0) + (flags & 0x800 ? 4U : 0U));
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
    struct reader reader = {body, false};
    struct box box;
    uint64_t behind = at; /* the data of the track before */
    while (next_box(&reader, &box)) {
        struct reader inner = {box.body, false};
        struct fragment fragment = {.base = behind};
        struct box leaf;
        while (is(&box, "traf") && next_box(&inner, &leaf)) {
            struct reader tfhd = {leaf.body, false};
            if (is(&leaf, "tfhd")) {
                const uint64_t flags = take(&tfhd, 4);
                skip(&tfhd, 4);
                fragment.base = flags & 0x1       ? take(&tfhd, 8)
                                : flags & 0x20000 ? at
                                                  : behind;
                skip(&tfhd, (flags & 0x2 ? 4 : 0) + (flags & 0x8 ? 4U : 0U));
                fragment.default_size = flags & 0x10 ? take(&tfhd, 4) : 0;
                behind = fragment.base;
            } else if (is(&leaf, "trun")) {
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
    struct reader reader = {body, false};
    const bool wide = take(&reader, 4) >> 24 != 0;
    skip(&reader, 8 + (wide ? 8 : 4));
    uint64_t at = plus(end, take(&reader, wide ? 8 : 4));
    skip(&reader, 2);
    const uint64_t count = take(&reader, 2);
    for (uint64_t i = 0; i < count; i++) {
        at = plus(at, take(&reader, 4) & 0x7fffffff);
        skip(&reader, 8);
    }
    return reader.is_short || count == 0 ? 0 : at;
}

bool video_read_mfra(struct str body, uint64_t box_bytes)
{
    struct reader reader = {body, false};
    struct box box = {.type = ""};
    while (next_box(&reader, &box)) {
    }
    if (reader.is_short || !is(&box, "mfro") || box.body.len < 8) {
        return false;
    }
    struct reader mfro = {box.body, false};
    skip(&mfro, 4);
    return take(&mfro, 4) == box_bytes;
}
