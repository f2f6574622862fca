#include "lib/check.h"

#include <string.h>

#include "core/video.h"

/** Bytes of boxes, written by hand. */
struct film {
    unsigned char bytes[512];
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
static const char *verdict(const struct film *film)
{
    static const size_t steps[] = {1, 3, 7, 64, sizeof film->bytes};
    const char *first = NULL;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct video_check check;
        video_check_init(&check);
        for (size_t at = 0; at < film->len; at += steps[i]) {
            size_t left = film->len - at;
            video_check_add(&check, film->bytes + at,
                            left < steps[i] ? left : steps[i]);
        }
        const char *said = video_check_end(&check);
        if (i > 0) {
            assert_true((said == NULL) == (first == NULL));
            assert_string_equal(said ? said : "", first ? first : "");
        }
        first = said;
    }
    return first;
}

static void whole_film(struct film *film)
{
    *film = (struct film){0};
    box(film, "ftyp", 16);
    box(film, "moov", 40);
    box(film, "free", 0);
    box(film, "mdat", 100);
}

static void video_check_end__whole_films__no_fault(void **state)
{
    (void)state;
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

static void video_check_end__cut_anywhere__is_found(void **state)
{
    (void)state;
    struct film film;
    whole_film(&film);
    const size_t whole = film.len;
    for (size_t len = 0; len < whole; len++) {
        film.len = len;
        assert_non_null(verdict(&film));
    }
}

static void video_check_end__bytes_behind_the_last_box__are_found(void **state)
{
    (void)state;
    struct film film;
    whole_film(&film);
    for (int i = 0; i < 20; i++) {
        film.bytes[film.len++] = 0xee;
        assert_non_null(verdict(&film));
    }
}

static void video_check_end__faulty_boxes__say_what_is_wrong(void **state)
{
    (void)state;
    struct film film = {0};
    assert_string_equal(verdict(&film), "it is empty");

    static const char html[] = "<!DOCTYPE html><html>not found</html>";
    memcpy(film.bytes, html, sizeof html);
    film.len = sizeof html;
    assert_string_equal(verdict(&film), "it does not begin with an ftyp box");

    film = (struct film){0};
    box(&film, "moov", 8);
    box(&film, "ftyp", 8);
    assert_string_equal(verdict(&film), "it does not begin with an ftyp box");

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

static void video_check_add__box_of_many_gigabytes__is_followed(void **state)
{
    (void)state;
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
    assert_non_null(video_check_end(&check));
    video_check_add(&check, piece, sizeof piece);
    assert_null(video_check_end(&check));
}

static void
video_check_end__random_bytes__agree_however_they_are_cut(void **state)
{
    (void)state;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(video_check_end__whole_films__no_fault),
        cmocka_unit_test(video_check_end__cut_anywhere__is_found),
        cmocka_unit_test(video_check_end__bytes_behind_the_last_box__are_found),
        cmocka_unit_test(video_check_end__faulty_boxes__say_what_is_wrong),
        cmocka_unit_test(video_check_add__box_of_many_gigabytes__is_followed),
        cmocka_unit_test(
            video_check_end__random_bytes__agree_however_they_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
