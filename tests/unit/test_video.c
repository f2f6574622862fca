#include "lib/check.h"

#include <string.h>

#include "core/video.h"

/** Bytes of boxes, written by hand. */
struct film {
    unsigned char bytes[2048];
    size_t len;
};

static void put32(struct film *film, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        film->bytes[film->len++] = (unsigned char)(value >> shift);
    }
}

static void box_head(struct film *film, uint32_t size, const char *type)
{
    put32(film, size);
    memcpy(film->bytes + film->len, type, 4);
    film->len += 4;
}

static void box(struct film *film, const char *type, uint32_t body_bytes)
{
    box_head(film, body_bytes + 8, type);
    memset(film->bytes + film->len, 0xab, body_bytes);
    film->len += body_bytes;
}

static void large_box(struct film *film, const char *type, uint32_t body_bytes)
{
    box_head(film, 1, type);
    put32(film, 0);
    put32(film, body_bytes + 16);
    memset(film->bytes + film->len, 0xcd, body_bytes);
    film->len += body_bytes;
}

/** The verdict, the same however the stream is cut. */
static struct video_verdict judge(const struct film *film, bool complete)
{
    static const size_t steps[] = {1, 3, 7, 64, sizeof film->bytes};
    struct video_verdict first = {0};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct video_check check;
        video_check_init(&check);
        for (size_t at = 0; at < film->len; at += steps[i]) {
            size_t left = film->len - at;
            video_check_add(&check, film->bytes + at,
                            left < steps[i] ? left : steps[i]);
        }
        const struct video_verdict said = video_check_end(&check, complete);
        video_check_done(&check);
        if (i > 0) {
            assert_string_equal(said.fault ? said.fault : "",
                                first.fault ? first.fault : "");
            assert_int_equal(said.proven, first.proven);
        }
        first = said;
    }
    return first;
}

static const char *verdict(const struct film *film)
{
    return judge(film, true).fault;
}

/* Films with tables: boxes are begun, filled and ended. */

static size_t begin(struct film *film, const char *type)
{
    box_head(film, 0, type);
    return film->len - 8;
}

static void finish(struct film *film, size_t at)
{
    struct film size = {0};
    put32(&size, (uint32_t)(film->len - at));
    memcpy(film->bytes + at, size.bytes, 4);
}

static void words(struct film *film, const char *type, size_t len,
                  const uint32_t *values)
{
    size_t at = begin(film, type);
    for (size_t i = 0; i < len; i++) {
        put32(film, values[i]);
    }
    finish(film, at);
}

#define WORDS(film, type, ...)                                                 \
    words(film, type, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t),    \
          (uint32_t[]){__VA_ARGS__})

enum layout { FASTSTART, TO_THE_END, MOOV_LAST, WIDE_OFFSETS, FRAGMENTS };

/* Four chunks: 2, 2, 2 and 1 samples of 20 to 26 bytes. */
/** One track: dref, stsz, stsc, stco or co64, media from `media_at` on. */
static void tables(struct film *film, uint32_t media_at, bool wide,
                   bool outside)
{
    size_t moov = begin(film, "moov");
    size_t trak = begin(film, "trak");
    size_t mdia = begin(film, "mdia");
    size_t minf = begin(film, "minf");
    size_t dinf = begin(film, "dinf");
    size_t dref = begin(film, "dref");
    put32(film, 0);
    put32(film, 1);
    WORDS(film, "url ", outside ? 0 : 1);
    finish(film, dref);
    finish(film, dinf);
    size_t stbl = begin(film, "stbl");
    WORDS(film, "stsz", 0, 0, 7, 20, 21, 22, 23, 24, 25, 26);
    WORDS(film, "stsc", 0, 2, 1, 2, 1, 4, 1, 1);
    if (wide) {
        WORDS(film, "co64", 0, 4, 0, media_at, 0, media_at + 41, 0,
              media_at + 86, 0, media_at + 135);
    } else {
        WORDS(film, "stco", 0, 4, media_at, media_at + 41, media_at + 86,
              media_at + 135);
    }
    finish(film, stbl);
    finish(film, minf);
    finish(film, mdia);
    finish(film, trak);
    finish(film, moov);
}

#define MEDIA_BYTES (135 + 26)

static void fragment(struct film *film, uint32_t media_bytes)
{
    size_t at = film->len;
    size_t moof = begin(film, "moof");
    WORDS(film, "mfhd", 0, 1);
    size_t traf = begin(film, "traf");
    WORDS(film, "tfhd", 0x20000, 1);
    WORDS(film, "trun", 0x201, 2, 0, media_bytes - 10, 10);
    finish(film, traf);
    finish(film, moof);
    struct film offset = {0};
    put32(&offset, (uint32_t)(film->len - at) + 8);
    memcpy(film->bytes + film->len - 12, offset.bytes, 4);
    box(film, "mdat", media_bytes);
}

static void film_of(struct film *film, enum layout layout)
{
    *film = (struct film){0};
    box(film, "ftyp", 16);
    if (layout == MOOV_LAST) {
        box(film, "mdat", MEDIA_BYTES);
        tables(film, 24 + 8, false, false);
        return;
    }
    if (layout == FRAGMENTS) {
        size_t moov = begin(film, "moov");
        WORDS(film, "mvex", 0);
        finish(film, moov);
        fragment(film, 100);
        fragment(film, 120);
        return;
    }
    struct film tried = *film;
    const bool wide = layout == WIDE_OFFSETS;
    tables(&tried, 0, wide, false);
    tables(film, (uint32_t)tried.len + 8, wide, false);
    box(film, "mdat", MEDIA_BYTES);
    if (layout == TO_THE_END) {
        memset(film->bytes + tried.len, 0, 4);
    }
}

static void whole_film(struct film *film)
{
    *film = (struct film){0};
    box(film, "ftyp", 16);
    box(film, "moov", 40);
    box(film, "free", 0);
    box(film, "mdat", 100);
}

TEST_CASE(video_check_end__whole_films__no_fault)
{
    struct film film;
    whole_film(&film);
    assert_null(verdict(&film));

    film = (struct film){0};
    box(&film, "ftyp", 16);
    large_box(&film, "mdat", 100);
    box(&film, "uuid", 16);
    box(&film, "moov", 40);
    assert_null(verdict(&film));

    film = (struct film){0};
    box(&film, "ftyp", 16);
    box(&film, "moov", 40);
    box_head(&film, 0, "mdat"); /* to the end of the file */
    memset(film.bytes + film.len, 1, 77);
    film.len += 77;
    assert_null(verdict(&film));
}

TEST_CASE(video_check_end__cut_anywhere__is_found)
{
    struct film film;
    whole_film(&film);
    const size_t whole = film.len;
    for (size_t len = 0; len < whole; len++) {
        film.len = len;
        assert_non_null(verdict(&film));
    }
}

static void add(struct film *film, const void *bytes, size_t len)
{
    memcpy(film->bytes + film->len, bytes, len);
    film->len += len;
}

/** Complete by its length, whole, and something behind it that is no film. */
TEST_CASE(video_check_end__bytes_behind_a_whole_film__do_no_harm)
{
    static const char tag[128] = "TAGa title, an artist, an album";
    static const unsigned char ee[20] = {0xee, 0xee, 0xee, 0xee, 0xee};
    static const char zeros[200];
    static const struct {
        const void *bytes;
        size_t len;
    } tails[] = {{tag, 128},
                 {"\n", 1},
                 {"\r\n", 2},
                 {zeros, 4},
                 {zeros, 9},
                 {zeros, 200},
                 {ee, 20},
                 {"\0\0\0\7free", 8},
                 {"\0\0\1\0free", 8},
                 {"\0\0\0", 3},
                 {"\0\0\0\1free\0", 9}};
    for (int layout = FASTSTART; layout <= FRAGMENTS; layout++) {
        for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
            struct film film;
            if (layout == TO_THE_END) {
                continue; /* they belong to its last box */
            }
            film_of(&film, (enum layout)layout);
            add(&film, tails[i].bytes, tails[i].len);
            assert_null(judge(&film, true).fault);
            assert_true(judge(&film, true).proven);
            assert_null(judge(&film, false).fault);
            assert_false(judge(&film, false).proven);
        }
    }
    struct film film; /* the next fragment is begun: it is cut */
    film_of(&film, FRAGMENTS);
    fragment(&film, 50);
    film.len -= 3;
    assert_non_null(judge(&film, true).fault);
}

TEST_CASE(video_check_end__odd_beginnings__are_taken)
{
    static const char *const firsts[] = {"free", "skip", "wide", "ftyp"};
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        struct film film = {0};
        box(&film, firsts[i], 4);
        box(&film, "ftyp", 12);
        box(&film, "moov", 40);
        box(&film, "mdat", 100);
        assert_null(verdict(&film));
    }
    struct film film = {0}; /* QuickTime before 2005 */
    box(&film, "mdat", 100);
    box(&film, "moov", 40);
    assert_null(verdict(&film));
    assert_false(judge(&film, false).proven);
    film = (struct film){0};
    add(&film, "\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01webm", 13);
    assert_non_null(verdict(&film));
}

/** Without a length, what the tables point to has to be there. */
TEST_CASE(video_check_end__cut_without_a_length__never_proven)
{
    for (int layout = FASTSTART; layout <= FRAGMENTS; layout++) {
        struct film film;
        film_of(&film, (enum layout)layout);
        const size_t whole = film.len;
        assert_null(judge(&film, false).fault);
        assert_int_equal(judge(&film, false).proven, layout != FRAGMENTS);
        assert_true(judge(&film, true).proven);
        for (size_t len = 0; len < whole; len++) {
            film.len = len;
            const struct video_verdict said = judge(&film, false);
            assert_false(said.proven);
            if (layout != FRAGMENTS) {
                assert_non_null(said.fault);
            }
        }
    }
}

/** Ends after a moov that is the film's last box yet: a track more, whose table
 * of chunks is missing, names fewer samples than there are, or is right. */
static void second_track(struct film *film, size_t moov, int kind)
{
    size_t trak = begin(film, "trak");
    size_t mdia = begin(film, "mdia");
    size_t minf = begin(film, "minf");
    size_t stbl = begin(film, "stbl");
    WORDS(film, "stsz", 0, 2, 4);
    WORDS(film, "stsc", 0, 1, 1, kind == 1 ? 3 : 4, 1);
    if (kind != 0) {
        WORDS(film, "stco", 0, 1, 8);
    }
    finish(film, stbl);
    finish(film, minf);
    finish(film, mdia);
    finish(film, trak);
    finish(film, moov);
}

/** It may be the one that is cut. */
TEST_CASE(video_check_end__a_track_that_can_not_be_read__proves_nothing)
{
    for (int kind = 0; kind <= 2; kind++) {
        struct film film = {0};
        box(&film, "ftyp", 16);
        struct film tried = film;
        tables(&tried, 0, false, false);
        second_track(&tried, 24, kind);
        tables(&film, (uint32_t)tried.len + 8, false, false);
        second_track(&film, 24, kind);
        box(&film, "mdat", MEDIA_BYTES + 500);
        memset(film.bytes + tried.len, 0, 4); /* to the end of the file */
        film.len -= 400;
        assert_null(judge(&film, false).fault);
        assert_int_equal(judge(&film, false).proven, kind == 2);
    }
}

TEST_CASE(video_check_end__media_elsewhere__says_nothing)
{
    struct film film = {0};
    box(&film, "ftyp", 16);
    tables(&film, 1000000, false, true);
    box(&film, "mdat", 10);
    assert_null(judge(&film, true).fault);
    assert_false(judge(&film, false).proven);

    film = (struct film){0}; /* the same in this very file: it is cut */
    box(&film, "ftyp", 16);
    tables(&film, 1000000, false, false);
    box(&film, "mdat", 10);
    assert_non_null(judge(&film, true).fault);
}

TEST_CASE(video_check_end__index_of_fragments__proves_the_last)
{
    struct film film;
    film_of(&film, FRAGMENTS);
    size_t mfra = begin(&film, "mfra");
    WORDS(&film, "tfra", 0, 1, 0, 0);
    WORDS(&film, "mfro", 0, 8 + 24 + 16);
    finish(&film, mfra);
    assert_true(judge(&film, false).proven);
    film.len -= 5;
    assert_false(judge(&film, false).proven);
    assert_null(judge(&film, true).fault);

    /* An index before them says how far they go at least. */
    film = (struct film){0};
    box(&film, "ftyp", 16);
    size_t moov = begin(&film, "moov");
    WORDS(&film, "mvex", 0);
    finish(&film, moov);
    struct film one = {0};
    fragment(&one, 100);
    WORDS(&film, "sidx", 0, 1, 1000, 0, 0, 2, (uint32_t)one.len, 0, 0,
          (uint32_t)one.len, 0, 0);
    fragment(&film, 100);
    assert_non_null(judge(&film, false).fault);
    fragment(&film, 100);
    assert_null(judge(&film, false).fault);
    assert_false(judge(&film, false).proven); /* others may follow */
}

TEST_CASE(video_check_end__faulty_boxes__say_what_is_wrong)
{
    struct film film = {0};
    assert_string_equal(verdict(&film), "it is empty");

    static const char html[] = "<!DOCTYPE html><html>not found</html>";
    memcpy(film.bytes, html, sizeof html);
    film.len = sizeof html;
    assert_string_equal(verdict(&film), "it does not begin as an MP4 does");

    film = (struct film){0};
    box(&film, "moov", 8);
    box(&film, "ftyp", 8);
    assert_string_equal(verdict(&film), "it has no mdat box");

    film = (struct film){0};
    box(&film, "ftyp", 16);
    box_head(&film, 7, "moov");
    assert_string_equal(verdict(&film), "a box is smaller than its own head");

    film = (struct film){0};
    box(&film, "ftyp", 16);
    box_head(&film, 1, "moov");
    put32(&film, 0);
    put32(&film, 15);
    assert_string_equal(verdict(&film), "a box is smaller than its own head");

    film = (struct film){0};
    box(&film, "ftyp", 16);
    box_head(&film, 1, "moov");
    put32(&film, 0);
    put32(&film, 0);
    assert_string_equal(verdict(&film), "a box is smaller than its own head");

    film = (struct film){0};
    box(&film, "ftyp", 16);
    box(&film, "uuid", 15);
    assert_string_equal(verdict(&film), "a box is smaller than its own head");

    film = (struct film){0};
    box(&film, "ftyp", 16);
    box(&film, "mdat", 16);
    assert_string_equal(verdict(&film), "it has no moov box");

    film = (struct film){0};
    box(&film, "ftyp", 16);
    box(&film, "moov", 16);
    assert_string_equal(verdict(&film), "it has no mdat box");
}

TEST_CASE(video_check_add__box_of_many_gigabytes__is_followed)
{
    static const unsigned char piece[1 << 20];
    struct film film = {0};
    box(&film, "ftyp", 16);
    box(&film, "moov", 16);
    box_head(&film, 1, "mdat");
    put32(&film, 1);  /* 4 GiB … */
    put32(&film, 16); /* … and its head */
    struct video_check check;
    video_check_init(&check);
    video_check_add(&check, film.bytes, film.len);
    for (int i = 0; i < 4095; i++) {
        video_check_add(&check, piece, sizeof piece);
    }
    assert_non_null(video_check_end(&check, true).fault);
    video_check_add(&check, piece, sizeof piece);
    assert_null(video_check_end(&check, true).fault);
    video_check_done(&check);
}

TEST_CASE(video_check_end__random_bytes__agree_however_they_are_cut)
{
    uint32_t random = 12345;
    for (int round = 0; round < 20000; round++) {
        struct film film;
        whole_film(&film);
        for (int i = 0; i < 3; i++) {
            random = random * 1664525 + 1013904223;
            film.bytes[(random >> 8) % film.len] ^=
                (unsigned char)(random >> 24);
        }
        (void)verdict(&film);
    }
}

TESTS_RUN(NULL, NULL)
