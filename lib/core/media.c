#include "core/media.h"

#include "core/box.h"

#include <assert.h>
#include <string.h>

#define SECONDS_MAX INT32_MAX /* no film: a number that means nothing */
#define FRAME_RATE_MAX 1000
#define ONE 0x10000 /* of 16.16 */
#define TKHD_ENABLED 1
#define TKHD_ASPECT_ONLY 8 /* its size is a shape, of no pixels */

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static int64_t to_ms(uint64_t ticks, uint64_t timescale)
{
    if (timescale == 0 || ticks / timescale > SECONDS_MAX) {
        return 0;
    }
    return (int64_t)(ticks / timescale * 1000 +
                     (ticks % timescale * 1000 + timescale / 2) / timescale);
}

/* ---- heads ---- */

/** A head that may be of 64 bits; all ones say that it isn't known. */
static uint64_t take_ticks(struct box_reader *reader, bool wide)
{
    const uint64_t ticks = box_take(reader, wide ? 8 : 4);
    return ticks == (wide ? UINT64_MAX : UINT32_MAX) ? 0 : ticks;
}

/** What mvhd and mdhd begin with. */
static bool read_clock(struct box_reader *reader, uint32_t *timescale,
                       uint64_t *ticks)
{
    const bool wide = box_take(reader, 1) == 1;
    box_skip(reader, 3 + (wide ? 16 : 8)); /* flags, two dates */
    *timescale = (uint32_t)box_take(reader, 4);
    *ticks = take_ticks(reader, wide);
    return !reader->is_short;
}

/** a b u, c d v, x y w */
static struct media_matrix take_matrix(struct box_reader *reader)
{
    struct media_matrix matrix;
    matrix.a = (int32_t)(uint32_t)box_take(reader, 4);
    matrix.b = (int32_t)(uint32_t)box_take(reader, 4);
    box_skip(reader, 4);
    matrix.c = (int32_t)(uint32_t)box_take(reader, 4);
    matrix.d = (int32_t)(uint32_t)box_take(reader, 4);
    box_skip(reader, 16);
    return matrix;
}

static uint64_t times(int32_t factor, uint64_t length)
{
    const uint64_t size =
        (uint64_t)(factor < 0 ? -(int64_t)factor : (int64_t)factor);
    return size && length > UINT64_MAX / size ? UINT64_MAX
                                              : size * length / ONE;
}

/** What a picture takes up after its corners were moved so: a quarter turn
 * makes its width its height. */
static void turn(const struct media_matrix *m, uint64_t *width,
                 uint64_t *height)
{
    const uint64_t w = *width;
    const uint64_t h = *height;
    *width = plus(times(m->a, w), times(m->c, h));
    *height = plus(times(m->b, w), times(m->d, h));
}

/** @return  Ticks in a second of the movie's clock; 0: not known. */
static uint32_t read_mvhd(struct media_scan *scan, struct str body)
{
    struct box_reader reader = {body, false};
    uint32_t timescale = 0;
    uint64_t ticks = 0;
    if (!read_clock(&reader, &timescale, &ticks)) {
        return 0;
    }
    scan->movie_ms = to_ms(ticks, timescale);
    box_skip(&reader, 16); /* rate, volume, reserved */
    const struct media_matrix matrix = take_matrix(&reader);
    if (!reader.is_short) {
        scan->matrix = matrix;
    }
    return timescale;
}

static void read_tkhd(struct media_track *track, struct str body)
{
    struct box_reader reader = {body, false};
    const bool wide = box_take(&reader, 1) == 1;
    const unsigned flags = (unsigned)box_take(&reader, 3);
    box_skip(&reader, wide ? 16 : 8);
    track->id = (uint32_t)box_take(&reader, 4);
    track->enabled = flags & TKHD_ENABLED;
    /* reserved, duration, reserved, layer, group, volume, reserved */
    box_skip(&reader, 4 + (wide ? 8 : 4) + 16);
    const struct media_matrix matrix = take_matrix(&reader);
    uint64_t width = box_take(&reader, 4);
    uint64_t height = box_take(&reader, 4);
    if (!reader.is_short && !(flags & TKHD_ASPECT_ONLY)) {
        turn(&matrix, &width, &height);
        track->width = width;
        track->height = height;
    }
}

/* ---- moov ---- */

/** Samples and their time, in runs of the same length each. */
static void read_stts(struct media_track *track, struct str body)
{
    struct box_reader reader = {body, false};
    box_skip(&reader, 4);
    const uint64_t runs = box_take(&reader, 4);
    for (uint64_t i = 0; i < runs && !reader.is_short; i++) {
        const uint64_t count = box_take(&reader, 4);
        const uint64_t each = box_take(&reader, 4);
        track->samples = plus(track->samples, count);
        track->ticks = plus(track->ticks, count * each);
    }
    track->counted = body.at && !reader.is_short;
}

static void read_trak(struct media_scan *scan, struct str trak)
{
    const struct str mdia = box_find(trak, "mdia");
    struct box_reader hdlr = {box_find(mdia, "hdlr"), false};
    box_skip(&hdlr, 8);
    const uint64_t kind = box_take(&hdlr, 4);
    scan->missed |= hdlr.is_short;         /* it may be either */
    const bool video = kind == 0x76696465; /* vide */
    if (!video && kind != 0x736f756e) {    /* soun */
        return;
    }
    if (scan->tracks_len == MEDIA_TRACKS_MAX) {
        scan->missed = true;
        return;
    }
    struct media_track *track = &scan->tracks[scan->tracks_len++];
    struct box_reader mdhd = {box_find(mdia, "mdhd"), false};
    *track = (struct media_track){.video = video};
    read_tkhd(track, box_find(trak, "tkhd"));
    if (!read_clock(&mdhd, &track->timescale, &track->media_ticks)) {
        track->timescale = 0;
        track->media_ticks = 0;
    }
    const struct str stbl = box_find(mdia, "minf/stbl");
    read_stts(track, box_find(stbl, "stts"));
    codec_name(box_find(stbl, "stsd"), video, track->codec);
}

static struct media_track *track_of(struct media_scan *scan, uint64_t id)
{
    for (size_t i = 0; i < scan->tracks_len; i++) {
        if (scan->tracks[i].id == id) {
            return &scan->tracks[i];
        }
    }
    return NULL;
}

/** What holds for fragments, behind all tracks. */
static void read_mvex(struct media_scan *scan, struct str body,
                      uint32_t timescale)
{
    struct box_reader reader = {body, false};
    struct box box;
    while (box_next(&reader, &box)) {
        struct box_reader inner = {box.body, false};
        const bool wide = box_take(&inner, 1) == 1;
        box_skip(&inner, 3);
        if (box_is(&box, "mehd")) {
            scan->extended_ms = to_ms(take_ticks(&inner, wide), timescale);
        } else if (box_is(&box, "trex")) {
            struct media_track *track = track_of(scan, box_take(&inner, 4));
            box_skip(&inner, 4);
            const uint32_t ticks = (uint32_t)box_take(&inner, 4);
            if (track && !inner.is_short) {
                track->has_run_ticks = true;
                track->run_ticks = ticks;
            }
        }
    }
}

void media_read_moov(struct media_scan *scan, struct str body)
{
    if (scan->read) {
        return;
    }
    scan->read = true;
    const uint32_t timescale = read_mvhd(scan, box_find(body, "mvhd"));
    struct box_reader reader = {body, false};
    struct box box;
    while (box_next(&reader, &box)) {
        if (box_is(&box, "trak")) {
            read_trak(scan, box.body);
        }
    }
    scan->missed |= reader.is_short;
    const struct str mvex = box_find(body, "mvex");
    scan->fragmented |= mvex.at != NULL;
    read_mvex(scan, mvex, timescale);
}

/* ---- fragments ---- */

/** What a fragment says of one of its tracks. */
struct part {
    struct media_track *track; /* null: one that isn't followed */
    bool has_ticks;
    uint32_t ticks; /* of a sample that has none of its own */
};

static struct part read_tfhd(struct media_scan *scan, struct str body)
{
    struct box_reader reader = {body, false};
    const uint64_t flags = box_take(&reader, 4);
    struct part part = {.track = track_of(scan, box_take(&reader, 4))};
    if (part.track) {
        part.has_ticks = part.track->has_run_ticks;
        part.ticks = part.track->run_ticks;
    }
    box_skip(&reader, (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4U : 0U));
    if (flags & 0x8) {
        part.has_ticks = true;
        part.ticks = (uint32_t)box_take(&reader, 4);
    }
    scan->missed |= reader.is_short;
    return part;
}

static void read_trun(struct media_scan *scan, const struct part *part,
                      struct str body)
{
    struct box_reader reader = {body, false};
    const uint64_t flags = box_take(&reader, 4);
    const uint64_t count = box_take(&reader, 4);
    struct media_track *track = part->track;
    assert(scan->tracks_len <= MEDIA_TRACKS_MAX);
    if (!track) {
        return;
    }
    box_skip(&reader, (flags & 0x1 ? 4 : 0) + (flags & 0x4 ? 4U : 0U));
    uint64_t ticks = count * part->ticks; /* both of 32 bits */
    const size_t others = (flags & 0x200 ? 4U : 0U) +
                          (flags & 0x400 ? 4U : 0U) + (flags & 0x800 ? 4U : 0U);
    if (flags & 0x100) {
        ticks = 0;
        for (uint64_t i = 0; i < count && !reader.is_short; i++) {
            ticks = plus(ticks, box_take(&reader, 4));
            box_skip(&reader, others);
        }
    }
    scan->missed |= reader.is_short;
    track->samples = plus(track->samples, count);
    track->ticks = plus(track->ticks, ticks);
    track->counted &= flags & 0x100 || part->has_ticks;
}

void media_read_moof(struct media_scan *scan, struct str body)
{
    struct box_reader reader = {body, false};
    struct box box;
    scan->fragmented = true;
    while (box_next(&reader, &box)) {
        struct box_reader inner = {box.body, false};
        struct part part = {0};
        struct box leaf;
        while (box_is(&box, "traf") && box_next(&inner, &leaf)) {
            if (box_is(&leaf, "tfhd")) {
                part = read_tfhd(scan, leaf.body);
            } else if (box_is(&leaf, "trun")) {
                read_trun(scan, &part, leaf.body);
            }
        }
        scan->missed |= inner.is_short;
    }
    scan->missed |= reader.is_short;
}

void media_miss(struct media_scan *scan)
{
    scan->missed = true;
}

/* ---- what is told ---- */

/** Of several the one that is shown. */
static const struct media_track *picture(const struct media_scan *scan)
{
    assert(scan->tracks_len <= MEDIA_TRACKS_MAX);
    const struct media_track *found = NULL;
    for (size_t i = 0; i < scan->tracks_len; i++) {
        const struct media_track *track = &scan->tracks[i];
        if (track->video && (!found || (track->enabled && !found->enabled))) {
            found = track;
        }
    }
    return found;
}

static int32_t to_pixels(uint64_t fixed)
{
    const uint64_t pixels = fixed / ONE + (fixed % ONE >= ONE / 2);
    return pixels <= UINT16_MAX ? (int32_t)pixels : 0;
}

static void tell_picture(const struct media_scan *scan, struct media *media)
{
    assert(!media->width && !media->height);
    const struct media_track *track = picture(scan);
    if (!track) {
        return;
    }
    uint64_t width = track->width;
    uint64_t height = track->height;
    turn(&scan->matrix, &width, &height);
    media->width = to_pixels(width);
    media->height = to_pixels(height);
    if (media->width == 0 || media->height == 0) {
        media->width = 0;
        media->height = 0;
    }
    const double seconds =
        track->timescale ? (double)track->ticks / track->timescale : 0;
    const double rate = seconds > 0 ? (double)track->samples / seconds : 0;
    if (track->counted && !(scan->fragmented && scan->missed) &&
        rate <= FRAME_RATE_MAX) {
        media->frame_rate_milli = (int32_t)(rate * 1000 + 0.5);
    }
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/** As long as its longest track; of fragments what is there counts. */
static int64_t length(const struct media_scan *scan)
{
    int64_t told = 0;    /* by heads of tracks */
    int64_t counted = 0; /* by samples */
    bool all = !scan->missed;
    for (size_t i = 0; i < scan->tracks_len; i++) {
        const struct media_track *track = &scan->tracks[i];
        told = longer(told, to_ms(track->media_ticks, track->timescale));
        counted = longer(counted, to_ms(track->ticks, track->timescale));
        all &= track->counted;
    }
    if (scan->fragmented) {
        return all && counted ? counted : scan->extended_ms;
    }
    if (scan->movie_ms) {
        return scan->movie_ms;
    }
    return told || !all ? told : counted;
}

static enum media_audio sound(const struct media_scan *scan)
{
    bool all = !scan->missed && scan->tracks_len > 0;
    for (size_t i = 0; i < scan->tracks_len; i++) {
        const struct media_track *track = &scan->tracks[i];
        if (!track->video && track->samples) {
            return MEDIA_AUDIO_THERE;
        }
        all &= track->video || track->counted;
    }
    return all ? MEDIA_AUDIO_NONE : MEDIA_AUDIO_UNKNOWN;
}

/** All of them or none: a list with a gap would say that there is no more. */
static void tell_codecs(const struct media_scan *scan, struct media *media)
{
    size_t len = 0;
    bool all = !scan->missed;
    for (size_t i = 0; i < scan->tracks_len; i++) {
        const struct media_track *track = &scan->tracks[i];
        bool known = track->counted && track->samples == 0; /* an empty one */
        for (size_t k = 0; k < len; k++) {
            known |= strcmp(media->codecs[k], track->codec) == 0;
        }
        if (!known) {
            assert(len < MEDIA_TRACKS_MAX);
            all &= track->codec[0] != '\0';
            memcpy(media->codecs[len++], track->codec, CODEC_BYTES);
        }
    }
    if (!all) {
        memset(media->codecs, 0, sizeof media->codecs);
    }
}

void media_tell(const struct media_scan *scan, struct media *media)
{
    *media = (struct media){0};
    assert(scan->tracks_len <= MEDIA_TRACKS_MAX);
    if (!scan->read) {
        return;
    }
    tell_picture(scan, media);
    media->duration_ms = length(scan);
    media->audio = sound(scan);
    tell_codecs(scan, media);
}

bool media_is_known(const struct media *media)
{
    return media->width || media->duration_ms || media->frame_rate_milli ||
           media->audio != MEDIA_AUDIO_UNKNOWN || media->codecs[0][0];
}
