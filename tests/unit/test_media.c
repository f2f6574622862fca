#include "core/media.h"
#include "core/video.h"
#include "lib/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- real films ---- */

/** What is told of a file of unit/films, however it is cut. */
static struct media media_of(const char *name)
{
    static const size_t steps[] = {1, 100, 65536};
    static unsigned char bytes[65536];
    char path[1024];
    struct media first = {0};
    snprintf(path, sizeof path, TEST_FOLDER "/films/%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct video_check check;
        video_check_init(&check);
        for (size_t at = 0; at < len; at += steps[i]) {
            const size_t left = len - at;
            video_check_add(&check, bytes + at,
                            left < steps[i] ? left : steps[i]);
        }
        const struct video_verdict said = video_check_end(&check, true);
        video_check_done(&check);
        assert_null(said.fault);
        assert_true(i == 0 || memcmp(&said.media, &first, sizeof first) == 0);
        first = said.media;
    }
    return first;
}

/** "64x36 1000 ms 24000 sound avc1.64000a mp4a.40.2" */
static const char *told(const struct media *media)
{
    static char text[400];
    static const char *const sounds[] = {"?", "silent", "sound"};
    int at = snprintf(text, sizeof text, "%dx%d %lld ms %d %s", media->width,
                      media->height, (long long)media->duration_ms,
                      media->frame_rate_milli, sounds[media->audio]);
    for (int i = 0; i < MEDIA_TRACKS_MAX && media->codecs[i][0]; i++) {
        at += snprintf(text + at, sizeof text - (size_t)at, " %s",
                       media->codecs[i]);
    }
    return text;
}

TEST_CASE(media_tell__real_films__what_ffprobe_says_of_them)
{
    static const char *const films[][2] = {
        {"plain.mp4", "64x36 1000 ms 24000 sound avc1.64000a mp4a.40.2"},
        {"fragments.mp4", "64x36 1083 ms 24000 sound avc1.64000a mp4a.40.2"},
        {"turned.mp4", "36x64 1000 ms 24000 sound avc1.64000a mp4a.40.2"},
        {"quicktime.mov", "64x36 1000 ms 24000 sound avc1.64000a mp4a.40.2"},
        {"hevc.mp4", "36x64 1210 ms 23976 silent hvc1.1.6.L30.90"},
        {"av1.mp4", "64x36 1000 ms 24000 silent av01.0.00M.08"},
        {"vp9.mp4", "64x36 1000 ms 24000 sound vp09.00.10.08 Opus"},
        {"old.mp4", "64x36 1000 ms 24000 sound mp4v.20.1 mp4a.69"},
        {"variable.mp4", "64x36 1917 ms 13714 silent avc1.64000a"},
    };
    for (size_t i = 0; i < sizeof films / sizeof *films; i++) {
        const struct media media = media_of(films[i][0]);
        assert_true(media_is_known(&media));
        assert_string_equal(told(&media), films[i][1]);
    }
}

/* ---- boxes by hand ---- */

struct film {
    char bytes[8192];
    size_t len;
};

static void put32(struct film *film, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        film->bytes[film->len++] = (char)(value >> shift);
    }
}

static size_t begin(struct film *film, const char *type)
{
    put32(film, 0);
    memcpy(film->bytes + film->len, type, 4);
    film->len += 4;
    return film->len - 8;
}

static void finish(struct film *film, size_t at)
{
    struct film size = {.len = 0};
    put32(&size, (uint32_t)(film->len - at));
    memcpy(film->bytes + at, size.bytes, 4);
}

static void zeros(struct film *film, size_t words)
{
    while (words-- > 0) {
        put32(film, 0);
    }
}

/** What a made film says; zero fields are as they stand. */
struct said {
    uint32_t movie_scale, movie_ticks;
    uint32_t scale, ticks; /* of the track */
    uint32_t flags;        /* of tkhd */
    int32_t a, b, c, d;    /* matrix of the track, whole numbers */
    uint32_t width, height;
    uint32_t count, each; /* stts */
    uint32_t entries;     /* that stts claims; it has one */
    uint32_t sounds;      /* tracks of sound */
    uint32_t sound_count; /* samples in each */
    uint32_t extended;    /* mehd; 0: no mvex */
    bool no_trex;
    bool other_codec; /* whose configuration is missing */
};

static const struct said usual = {
    .movie_scale = 1000,
    .movie_ticks = 5000,
    .scale = 24,
    .ticks = 120,
    .flags = 3,
    .a = 1,
    .d = 1,
    .width = 960,
    .height = 540,
    .count = 120,
    .each = 1,
    .entries = 1,
    .sound_count = 215,
};

static void matrix(struct film *film, const struct said *said)
{
    put32(film, (uint32_t)said->a << 16);
    put32(film, (uint32_t)said->b << 16);
    put32(film, 0);
    put32(film, (uint32_t)said->c << 16);
    put32(film, (uint32_t)said->d << 16);
    zeros(film, 3);
    put32(film, 0x40000000);
}

static void track(struct film *film, const struct said *said, uint32_t id,
                  bool video)
{
    const size_t trak = begin(film, "trak");
    size_t at = begin(film, "tkhd");
    put32(film, said->flags);
    zeros(film, 2);
    put32(film, id);
    zeros(film, 6);
    matrix(film, said);
    put32(film, said->width << 16);
    put32(film, said->height << 16);
    finish(film, at);
    const size_t mdia = begin(film, "mdia");
    at = begin(film, "mdhd");
    zeros(film, 3);
    put32(film, said->scale);
    put32(film, said->ticks);
    put32(film, 0);
    finish(film, at);
    at = begin(film, "hdlr");
    zeros(film, 2);
    memcpy(film->bytes + film->len, video ? "vide" : "soun", 4);
    film->len += 4;
    zeros(film, 4);
    finish(film, at);
    const size_t minf = begin(film, "minf");
    const size_t stbl = begin(film, "stbl");
    at = begin(film, "stsd");
    put32(film, 0);
    put32(film, 1);
    const size_t entry = begin(film, said->other_codec ? "avc1" : "ac-3");
    zeros(film, 20);
    finish(film, entry);
    finish(film, at);
    at = begin(film, "stts");
    put32(film, 0);
    put32(film, said->entries);
    put32(film, video ? said->count : said->sound_count);
    put32(film, said->each);
    finish(film, at);
    finish(film, stbl);
    finish(film, minf);
    finish(film, mdia);
    finish(film, trak);
}

static struct str body(const struct film *film)
{
    return (struct str){film->bytes, film->len};
}

static struct film moov_of(const struct said *said)
{
    struct film film = {.len = 0};
    const struct said straight = usual;
    size_t at = begin(&film, "mvhd");
    zeros(&film, 3);
    put32(&film, said->movie_scale);
    put32(&film, said->movie_ticks);
    zeros(&film, 4);
    matrix(&film, &straight);
    finish(&film, at);
    track(&film, said, 1, true);
    for (uint32_t i = 0; i < said->sounds; i++) {
        track(&film, said, 2 + i, false);
    }
    if (said->extended) {
        const size_t mvex = begin(&film, "mvex");
        at = begin(&film, "mehd");
        put32(&film, 0);
        put32(&film, said->extended);
        finish(&film, at);
        if (!said->no_trex) {
            at = begin(&film, "trex");
            put32(&film, 0);
            put32(&film, 1);
            put32(&film, 1);
            put32(&film, 2); /* ticks of a sample */
            zeros(&film, 2);
            finish(&film, at);
        }
        finish(&film, mvex);
    }
    return film;
}

static const char *told_of(const struct said *said)
{
    static struct media media;
    struct media_scan scan = {0};
    const struct film film = moov_of(said);
    media_read_moov(&scan, body(&film));
    media_tell(&scan, &media);
    return told(&media);
}

#define SAID(...)                                                              \
    (__extension__({                                                           \
        struct said one = usual;                                               \
        __VA_ARGS__;                                                           \
        told_of(&one);                                                         \
    }))

TEST_CASE(media_tell__a_plain_film__tells_all)
{
    assert_string_equal(SAID((void)one), "960x540 5000 ms 24000 silent ac-3");
    assert_string_equal(SAID(one.sounds = 1),
                        "960x540 5000 ms 24000 sound ac-3");
}

TEST_CASE(media_tell__turned__is_as_it_is_shown)
{
    assert_string_equal(SAID(one.a = one.d = 0, one.b = 1, one.c = -1),
                        "540x960 5000 ms 24000 silent ac-3");
    assert_string_equal(SAID(one.a = one.d = 0, one.b = -1, one.c = 1),
                        "540x960 5000 ms 24000 silent ac-3");
    assert_string_equal(SAID(one.a = one.d = -1), /* upside down */
                        "960x540 5000 ms 24000 silent ac-3");
    assert_string_equal(SAID(one.a = 2), /* stretched */
                        "1920x540 5000 ms 24000 silent ac-3");
}

TEST_CASE(media_tell__a_size_that_says_nothing__is_left_out)
{
    static const char *const rest = "0x0 5000 ms 24000 silent ac-3";
    assert_string_equal(SAID(one.width = 0), rest);
    assert_string_equal(SAID(one.a = one.d = 0), rest); /* no matrix */
    assert_string_equal(SAID(one.flags = 11), rest);    /* a shape only */
    assert_string_equal(SAID(one.a = 32767), rest);     /* beyond any screen */
}

TEST_CASE(media_tell__of_several_pictures__the_one_that_is_shown)
{
    struct media media;
    struct media_scan scan = {0};
    struct film film = moov_of(&usual);
    struct said other = usual;
    struct film both = {.len = 0};
    other.flags = 0; /* not enabled: a cover, a chapter's picture */
    other.width = 100;
    const size_t mvhd = 8 + 4 * 18;
    memcpy(both.bytes, film.bytes, mvhd);
    both.len = mvhd;
    track(&both, &other, 7, true);
    memcpy(both.bytes + both.len, film.bytes + mvhd, film.len - mvhd);
    both.len += film.len - mvhd;
    media_read_moov(&scan, body(&both));
    media_tell(&scan, &media);
    assert_string_equal(told(&media), "960x540 5000 ms 24000 silent ac-3");
}

TEST_CASE(media_tell__without_a_length_of_the_film__that_of_its_tracks)
{
    assert_string_equal(SAID(one.movie_ticks = 0, one.ticks = 100),
                        "960x540 4167 ms 24000 silent ac-3");
    assert_string_equal(SAID(one.movie_ticks = UINT32_MAX),
                        "960x540 5000 ms 24000 silent ac-3");
    assert_string_equal(SAID(one.movie_scale = 0, one.ticks = 0),
                        "960x540 5000 ms 24000 silent ac-3");
    assert_string_equal(SAID(one.movie_ticks = 1, one.movie_scale = 3000),
                        "960x540 5000 ms 24000 silent ac-3"); /* below one */
}

TEST_CASE(media_tell__numbers_that_mean_nothing__are_left_out)
{
    assert_string_equal(SAID(one.scale = 0, one.movie_scale = 0),
                        "960x540 0 ms 0 silent ac-3");
    assert_string_equal(SAID(one.count = UINT32_MAX, one.scale = UINT32_MAX),
                        "960x540 5000 ms 0 silent ac-3");
    assert_string_equal(SAID(one.each = 0), "960x540 5000 ms 0 silent ac-3");
    assert_string_equal(SAID(one.other_codec = true),
                        "960x540 5000 ms 24000 silent");
}

TEST_CASE(media_tell__a_table_that_is_cut__counts_for_nothing)
{
    assert_string_equal(
        SAID(one.entries = 2, one.sounds = 1, one.sound_count = 0),
        "960x540 5000 ms 0 ? ac-3");
}

TEST_CASE(media_tell__sound_without_samples__is_none)
{
    assert_string_equal(SAID(one.sounds = 1, one.sound_count = 0),
                        "960x540 5000 ms 24000 silent ac-3");
}

TEST_CASE(media_tell__more_tracks_than_are_followed__no_guess)
{
    assert_string_equal(SAID(one.sounds = 3),
                        "960x540 5000 ms 24000 sound ac-3");
    assert_string_equal(SAID(one.sounds = 4, one.sound_count = 0),
                        "960x540 5000 ms 24000 ?");
}

/* ---- fragments ---- */

/** One fragment of the picture; `each` 0: as trex says. */
static struct film moof_of(uint32_t samples, uint32_t each, bool by_sample)
{
    struct film film = {.len = 0};
    const size_t traf = begin(&film, "traf");
    size_t at = begin(&film, "tfhd");
    put32(&film, each && !by_sample ? 0x20008 : 0x20000);
    put32(&film, 1);
    if (each && !by_sample) {
        put32(&film, each);
    }
    finish(&film, at);
    at = begin(&film, "trun");
    put32(&film, by_sample ? 0x301 : 0x201);
    put32(&film, samples);
    put32(&film, 100);
    for (uint32_t i = 0; i < samples; i++) {
        if (by_sample) {
            put32(&film, each);
        }
        put32(&film, 10);
    }
    finish(&film, at);
    finish(&film, traf);
    return film;
}

/** Three fragments of 24 samples, each of another form. */
static const char *told_of_fragments(struct said said, bool missed)
{
    static struct media media;
    struct media_scan scan = {0};
    said.count = 0;
    said.movie_ticks = 0;
    said.ticks = 0;
    said.extended = said.extended ? said.extended : 9000;
    const struct film film = moov_of(&said);
    const struct film a = moof_of(24, 0, false); /* of 2 ticks each */
    const struct film b = moof_of(24, 1, false);
    const struct film c = moof_of(24, 1, true);
    media_read_moov(&scan, body(&film));
    media_read_moof(&scan, body(&a));
    media_read_moof(&scan, body(&b));
    media_read_moof(&scan, body(&c));
    if (missed) {
        media_miss(&scan);
    }
    media_tell(&scan, &media);
    return told(&media);
}

TEST_CASE(media_read_moof__fragments__are_counted)
{
    assert_string_equal(told_of_fragments(usual, false),
                        "960x540 4000 ms 18000 silent ac-3");
}

TEST_CASE(media_read_moof__one_that_was_not_read__leaves_what_moov_says)
{
    struct said said = usual;
    assert_string_equal(told_of_fragments(said, true), "960x540 9000 ms 0 ?");
    said.no_trex = true; /* how long its samples last, nothing says */
    assert_string_equal(told_of_fragments(said, false),
                        "960x540 9000 ms 0 silent ac-3");
}

TEST_CASE(media_read_moof__a_run_that_is_cut__is_not_counted)
{
    struct media media;
    struct media_scan scan = {0};
    struct said said = usual;
    said.count = 0;
    said.extended = 9000;
    const struct film film = moov_of(&said);
    struct film cut = moof_of(24, 1, true);
    cut.bytes[8 + 16 + 8 + 7]++; /* one sample more than there are */
    media_read_moov(&scan, body(&film));
    media_read_moof(&scan, body(&cut));
    media_tell(&scan, &media);
    assert_string_equal(told(&media), "960x540 9000 ms 0 ?");
}

TEST_CASE(media_tell__no_moov__nothing_is_known)
{
    struct media media;
    struct media_scan scan = {0};
    media_tell(&scan, &media);
    assert_false(media_is_known(&media));
    media_read_moov(&scan, STR(""));
    media_tell(&scan, &media);
    assert_false(media_is_known(&media)); /* it has no track */
}

TEST_CASE(media_tell__a_track_of_no_kind__may_be_of_any)
{
    struct media media;
    struct media_scan scan = {0};
    struct film film = moov_of(&usual);
    finish(&film, begin(&film, "trak"));
    media_read_moov(&scan, body(&film));
    media_tell(&scan, &media);
    assert_string_equal(told(&media), "960x540 5000 ms 24000 ?");
}

TEST_CASE(media_tell__a_moov_that_does_not_tile__may_hide_a_track)
{
    struct media media;
    struct media_scan scan = {0};
    struct film film = moov_of(&usual);
    put32(&film, 1000);
    memcpy(film.bytes + film.len, "trak", 4);
    film.len += 4;
    media_read_moov(&scan, body(&film));
    media_tell(&scan, &media);
    assert_string_equal(told(&media), "960x540 5000 ms 24000 ?");
}

TEST_CASE(media_scan__random_boxes__never_harm)
{
    uint32_t seed = 7;
    struct said said = usual;
    said.sounds = 2;
    said.extended = 9000;
    const struct film moov = moov_of(&said);
    const struct film moof = moof_of(20, 1, true);
    for (int turn = 0; turn < 20000; turn++) {
        struct media media;
        struct media_scan scan = {0};
        const struct film *films[] = {&moov, &moof};
        for (int i = 0; i < 2; i++) {
            seed = seed * 1664525u + 1013904223u;
            const size_t len = films[i]->len - (turn % 2 ? seed % 50 : 0);
            char *exact = malloc(len); /* a read behind it is seen */
            assert_non_null(exact);
            memcpy(exact, films[i]->bytes, len);
            for (int k = 0; k < turn % 5; k++) {
                seed = seed * 1664525u + 1013904223u;
                exact[(seed >> 8) % len] = (char)(seed >> 24);
            }
            if (i == 0) {
                media_read_moov(&scan, (struct str){exact, len});
            } else {
                media_read_moof(&scan, (struct str){exact, len});
            }
            free(exact);
        }
        media_tell(&scan, &media);
        assert_true(media.width >= 0 && media.width <= 65535);
        assert_true(media.duration_ms >= 0 && media.frame_rate_milli >= 0);
    }
}

TESTS_RUN(NULL, NULL)
