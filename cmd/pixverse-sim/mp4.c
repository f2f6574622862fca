#include "mp4.h"

#include "draw.h"
#include "h264.h"

enum {
    FRAMES_A_SECOND = 24,
    AUDIO_RATE = 44100,
    AUDIO_FRAME_SAMPLES = 1024,
    TIMESCALE = 1000, /* of the movie */
};

static const char AUDIO_FRAME[] = {0x00, 0x00, 0x00, 0x07};
/* A raw_data_block of AAC-LC, mono: one channel element of silence (gain 0,
 * no scale factor bands), then the end. */

static void put32(struct buf *out, uint64_t value)
{
    const char bytes[] = {(char)(value >> 24), (char)(value >> 16),
                          (char)(value >> 8), (char)value};
    buf_add(out, bytes, 4);
}

static void put16(struct buf *out, unsigned int value)
{
    buf_add_char(out, (char)(value >> 8));
    buf_add_char(out, (char)value);
}

static void put_zeros(struct buf *out, size_t count)
{
    while (count-- > 0) {
        buf_add_char(out, 0);
    }
}

/** Begin a box; box_end() writes its size. */
static size_t box(struct buf *out, const char *type)
{
    const size_t at = out->len;
    put32(out, 0);
    buf_add(out, type, 4);
    return at;
}

static size_t full_box(struct buf *out, const char *type, uint32_t flags)
{
    const size_t at = box(out, type);
    put32(out, flags);
    return at;
}

static void patch32(struct buf *out, size_t at, uint64_t value)
{
    for (size_t i = 0; i < 4; i++) {
        out->bytes[at + i] = (char)(value >> (24 - 8 * i));
    }
}

static void box_end(struct buf *out, size_t at)
{
    patch32(out, at, out->len - at);
}

static void put_matrix(struct buf *out)
{
    static const uint32_t matrix[] = {0x10000, 0, 0, 0,         0x10000,
                                      0,       0, 0, 0x40000000};
    for (size_t i = 0; i < 9; i++) {
        put32(out, matrix[i]);
    }
}

/** One track: what differs between sound and picture. */
struct track {
    bool video;
    uint32_t id;
    uint32_t timescale;
    uint32_t samples;
    uint32_t sample_ticks;
    uint32_t key_every;    /* 0: every sample is one */
    const uint32_t *sizes; /* null: all AUDIO_FRAME */
    size_t offset_at;      /* where the chunk's offset stands */
};

static void put_avc1(struct buf *out, const struct mp4_spec *spec)
{
    const struct h264_picture picture = {spec->width, spec->height};
    struct buf sps, pps;
    buf_init(&sps, 0);
    buf_init(&pps, 0);
    h264_sps(&sps, picture);
    h264_pps(&pps);
    const size_t avc1 = box(out, "avc1");
    put_zeros(out, 6);
    put16(out, 1); /* data reference */
    put_zeros(out, 16);
    put16(out, spec->width);
    put16(out, spec->height);
    put32(out, 0x480000); /* 72 dpi */
    put32(out, 0x480000);
    put32(out, 0);
    put16(out, 1); /* frames a sample */
    put_zeros(out, 32);
    put16(out, 24);
    put16(out, 0xffff);
    const size_t avcc = box(out, "avcC");
    buf_add_char(out, 1);
    buf_add(out, sps.bytes + 1, 3); /* profile, constraints, level */
    buf_add_char(out, (char)0xff);  /* lengths of 4 bytes */
    buf_add_char(out, (char)0xe1);  /* one sequence parameter set */
    put16(out, (unsigned int)sps.len);
    buf_add(out, sps.bytes, sps.len);
    buf_add_char(out, 1);
    put16(out, (unsigned int)pps.len);
    buf_add(out, pps.bytes, pps.len);
    box_end(out, avcc);
    box_end(out, avc1);
    buf_done(&sps);
    buf_done(&pps);
}

static void put_mp4a(struct buf *out)
{
    /* ES descriptor > decoder config (AAC, audio) > AAC-LC, 44.1 kHz, mono */
    static const unsigned char descriptors[] = {
        0x03, 0x19, 0x00, 0x02, 0x00, 0x04, 0x11, 0x40, 0x15,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x62, 0x00, 0x00,
        0x05, 0x62, 0x05, 0x02, 0x12, 0x08, 0x06, 0x01, 0x02};
    const size_t mp4a = box(out, "mp4a");
    put_zeros(out, 6);
    put16(out, 1);
    put_zeros(out, 8);
    put16(out, 1);  /* channel */
    put16(out, 16); /* bits */
    put32(out, 0);
    put32(out, (uint64_t)AUDIO_RATE << 16);
    const size_t esds = full_box(out, "esds", 0);
    buf_add(out, descriptors, sizeof(descriptors));
    box_end(out, esds);
    box_end(out, mp4a);
}

static void put_sample_table(struct buf *out, const struct mp4_spec *spec,
                             struct track *track)
{
    const size_t stbl = box(out, "stbl");
    size_t at = full_box(out, "stsd", 0);
    put32(out, 1);
    if (track->video) {
        put_avc1(out, spec);
    } else {
        put_mp4a(out);
    }
    box_end(out, at);
    at = full_box(out, "stts", 0);
    put32(out, 1);
    put32(out, track->samples);
    put32(out, track->sample_ticks);
    box_end(out, at);
    if (track->key_every > 0) {
        at = full_box(out, "stss", 0);
        put32(out, (track->samples + track->key_every - 1) / track->key_every);
        for (uint32_t i = 0; i < track->samples; i += track->key_every) {
            put32(out, i + 1);
        }
        box_end(out, at);
    }
    at = full_box(out, "stsc", 0);
    put32(out, 1);
    put32(out, 1);
    put32(out, track->samples);
    put32(out, 1);
    box_end(out, at);
    at = full_box(out, "stsz", 0);
    put32(out, track->sizes ? 0 : sizeof(AUDIO_FRAME));
    put32(out, track->samples);
    for (uint32_t i = 0; track->sizes && i < track->samples; i++) {
        put32(out, track->sizes[i]);
    }
    box_end(out, at);
    at = full_box(out, "stco", 0);
    put32(out, 1);
    track->offset_at = out->len;
    put32(out, 0);
    box_end(out, at);
    box_end(out, stbl);
}

static void put_media_info(struct buf *out, const struct mp4_spec *spec,
                           struct track *track)
{
    const size_t minf = box(out, "minf");
    size_t at =
        track->video ? full_box(out, "vmhd", 1) : full_box(out, "smhd", 0);
    put_zeros(out, track->video ? 8 : 4);
    box_end(out, at);
    const size_t dinf = box(out, "dinf");
    at = full_box(out, "dref", 0);
    put32(out, 1);
    const size_t url = full_box(out, "url ", 1); /* in this file */
    box_end(out, url);
    box_end(out, at);
    box_end(out, dinf);
    put_sample_table(out, spec, track);
    box_end(out, minf);
}

static void put_track(struct buf *out, const struct mp4_spec *spec,
                      struct track *track)
{
    const size_t trak = box(out, "trak");
    size_t at = full_box(out, "tkhd", 3); /* enabled, in the movie */
    put32(out, 0);
    put32(out, 0);
    put32(out, track->id);
    put32(out, 0);
    put32(out, spec->seconds * TIMESCALE);
    put_zeros(out, 12);
    put16(out, track->video ? 0 : 0x100); /* volume */
    put16(out, 0);
    put_matrix(out);
    put32(out, track->video ? spec->width << 16 : 0);
    put32(out, track->video ? spec->height << 16 : 0);
    box_end(out, at);
    const size_t mdia = box(out, "mdia");
    at = full_box(out, "mdhd", 0);
    put32(out, 0);
    put32(out, 0);
    put32(out, track->timescale);
    put32(out, track->samples * track->sample_ticks);
    put16(out, 0x55c4); /* language undetermined */
    put16(out, 0);
    box_end(out, at);
    at = full_box(out, "hdlr", 0);
    put32(out, 0);
    buf_add(out, track->video ? "vide" : "soun", 4);
    put_zeros(out, 13);
    box_end(out, at);
    put_media_info(out, spec, track);
    box_end(out, mdia);
    box_end(out, trak);
}

static void put_movie(struct buf *out, const struct mp4_spec *spec,
                      struct track *video, struct track *audio)
{
    const size_t moov = box(out, "moov");
    const size_t mvhd = full_box(out, "mvhd", 0);
    put32(out, 0);
    put32(out, 0);
    put32(out, TIMESCALE);
    put32(out, spec->seconds * TIMESCALE);
    put32(out, 0x10000); /* rate */
    put16(out, 0x100);   /* volume */
    put_zeros(out, 10);
    put_matrix(out);
    put_zeros(out, 24);
    put32(out, 3); /* the next track's id */
    box_end(out, mvhd);
    put_track(out, spec, video);
    if (spec->audio) {
        put_track(out, spec, audio);
    }
    box_end(out, moov);
}

/** All pictures, each with its length before it; one key picture a second. */
static void make_pictures(struct buf *out, const struct mp4_spec *spec,
                          uint32_t *sizes)
{
    const struct h264_picture picture = {spec->width, spec->height};
    for (uint32_t i = 0; i < spec->seconds * FRAMES_A_SECOND; i++) {
        const size_t at = out->len;
        const uint32_t second = i / FRAMES_A_SECOND;
        put32(out, 0);
        if (i % FRAMES_A_SECOND == 0) {
            h264_stripes(out, picture, draw(spec->seed, second), second);
        } else {
            h264_repeat(out, picture, i % FRAMES_A_SECOND);
        }
        sizes[i] = (uint32_t)(out->len - at);
        patch32(out, at, sizes[i] - 4);
    }
}

uint64_t mp4_make(struct buf *out, const struct mp4_spec *spec)
{
    uint32_t sizes[60 * FRAMES_A_SECOND];
    struct mp4_spec made = *spec;
    made.seconds = made.seconds > 60 ? 60 : made.seconds;
    struct buf pictures;
    buf_init(&pictures, 0);
    make_pictures(&pictures, &made, sizes);
    struct track video = {.video = true,
                          .id = 1,
                          .timescale = FRAMES_A_SECOND,
                          .samples = made.seconds * FRAMES_A_SECOND,
                          .sample_ticks = 1,
                          .key_every = FRAMES_A_SECOND,
                          .sizes = sizes};
    struct track audio = {.id = 2,
                          .timescale = AUDIO_RATE,
                          .samples = made.audio ? made.seconds * AUDIO_RATE /
                                                      AUDIO_FRAME_SAMPLES
                                                : 0,
                          .sample_ticks = AUDIO_FRAME_SAMPLES};

    const size_t start = out->len;
    const size_t ftyp = box(out, "ftyp");
    buf_add(out, "isom\0\0\2\0isomiso2avc1mp41", 24);
    box_end(out, ftyp);
    const size_t label = box(out, "free");
    buf_add_text(out, made.label);
    box_end(out, label);
    put_movie(out, &made, &video, &audio);

    const uint64_t payload =
        pictures.len + (uint64_t)audio.samples * sizeof(AUDIO_FRAME);
    uint64_t whole = out->len - start + 8 + payload;
    uint64_t padding = spec->bytes > whole ? spec->bytes - whole : 0;
    if (payload + padding + 8 > UINT32_MAX) {
        padding -= 8; /* for the longer header */
        put32(out, 1);
        buf_add(out, "mdat", 4);
        put32(out, (payload + padding + 16) >> 32);
        put32(out, payload + padding + 16);
    } else {
        put32(out, payload + padding + 8);
        buf_add(out, "mdat", 4);
    }
    patch32(out, video.offset_at, out->len - start);
    buf_add(out, pictures.bytes, pictures.len);
    if (made.audio) {
        patch32(out, audio.offset_at, out->len - start);
    }
    for (uint32_t i = 0; i < audio.samples; i++) {
        buf_add(out, AUDIO_FRAME, sizeof(AUDIO_FRAME));
    }
    buf_done(&pictures);
    return padding;
}

void mp4_padding(uint64_t seed, uint64_t offset, char *out, size_t len)
{
    while (len > 0) {
        const uint64_t word = draw(seed, offset / 8);
        const size_t skip = (size_t)(offset % 8);
        size_t take = 8 - skip;
        take = take < len ? take : len;
        memcpy(out, (const char *)&word + skip, take);
        out += take;
        offset += take;
        len -= take;
    }
}
