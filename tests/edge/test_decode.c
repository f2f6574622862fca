#include "edge/coded.h"
#include "edge/web/decode.h"
#include "lib/check.h"

#include <stdio.h>

#define LIMIT ((size_t)1 << 20)

static struct coded code(const char *coding, const void *bytes, size_t len)
{
    return strcmp(coding, "gzip") == 0   ? coded_zlib(bytes, len, CODED_GZIP)
           : strcmp(coding, "zlib") == 0 ? coded_zlib(bytes, len, CODED_ZLIB)
           : strcmp(coding, "deflate") == 0
               ? coded_zlib(bytes, len, CODED_DEFLATE)
           : strcmp(coding, "br") == 0 ? coded_br()
                                       : coded_zstd(bytes, len);
}

static void assert_decodes(struct str bytes, const char *label,
                           enum decoded expected, const char *text)
{
    struct buf out;
    buf_init(&out, LIMIT);
    const enum decoded got = decode_text(bytes, str_of(label), &out);
    if (got != expected) {
        fail_msg("label %s: %d, not %d", label ? label : "none", got, expected);
    }
    if (got == DECODED) {
        assert_int_equal(out.len, strlen(text));
        assert_memory_equal(out.bytes, text, out.len);
    }
    buf_done(&out);
}

TEST_CASE(decode_text__each_coding__is_undone)
{
    static const struct {
        const char *coding;
        const char *label; /* null: none */
    } rows[] = {
        {"gzip", "gzip"},
        {"gzip", "x-gzip"},
        {"gzip", "GZIP"},
        {"gzip", NULL},
        {"gzip", "br"},
        {"gzip", "identity"},
        {"gzip", "deflate"},
        {"gzip", "nonsense"},
        {"zlib", "deflate"},
        {"zlib", "gzip"},
        {"deflate", "deflate"},
        {"br", "br"},
        {"br", "identity, br"},
        {"zstd", "zstd"},
        {"zstd", NULL},
        {"zstd", "gzip"},
        {"gzip", "gzip, identity"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct coded body =
            code(rows[i].coding, CODED_JSON, strlen(CODED_JSON));
        assert_decodes((struct str){body.bytes, body.len}, rows[i].label,
                       DECODED, CODED_JSON);
        free(body.bytes);
    }
}

TEST_CASE(decode_text__a_plain_text__stays_whatever_it_is_called)
{
    static const char *const labels[] = {
        NULL,      "",      "identity",    "gzip",     "br",       "zstd",
        "deflate", "utf-8", "aws-chunked", "nonsense", "gzip, br", ",",
    };
    static const char *const texts[] = {
        CODED_JSON, "\xef\xbb\xbf{\"a\":1}", "\r\n [1]", "x", "<html></html>",
        "余额",     "\xc9\xfa\xb3\xc9", /* GBK */
    };
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        const bool silent = labels[i] && (strstr(labels[i], "br") ||
                                          strstr(labels[i], "deflate"));
        /* What has no mark of its own is told by its label, or UTF-8. */
        const size_t len = sizeof texts / sizeof texts[0] - silent;
        for (size_t k = 0; k < len; k++) {
            assert_decodes(str_of(texts[k]), labels[i], DECODED_PLAIN, NULL);
        }
    }
    assert_decodes(STR(""), "gzip", DECODED_PLAIN, NULL);
}

TEST_CASE(decode_text__two_codings__are_both_undone)
{
    struct coded once = code("br", NULL, 0);
    struct coded twice = code("gzip", once.bytes, once.len);
    assert_decodes((struct str){twice.bytes, twice.len}, "br, gzip", DECODED,
                   CODED_JSON);
    free(once.bytes);
    free(twice.bytes);
}

TEST_CASE(decode_text__members_of_gzip__are_one_text)
{
    struct coded a = code("gzip", "{\"code\":", 8);
    struct coded b = code("gzip", "200}", 4);
    char *both = malloc(a.len + b.len);
    memcpy(both, a.bytes, a.len);
    memcpy(both + a.len, b.bytes, b.len);
    assert_decodes((struct str){both, a.len + b.len}, "gzip", DECODED,
                   "{\"code\":200}");
    free(a.bytes);
    free(b.bytes);
    free(both);
}

TEST_CASE(decode_text__what_cant_be_read__is_told)
{
    static const char *const codings[] = {"gzip", "zlib", "deflate", "br",
                                          "zstd"};
    for (size_t i = 0; i < 5; i++) {
        struct coded body = code(codings[i], CODED_JSON, strlen(CODED_JSON));
        const char *label = i == 1 || i == 2 ? "deflate" : codings[i];
        /* Cut, and spoilt in the middle. */
        assert_decodes((struct str){body.bytes, body.len - 6}, label,
                       DECODED_NOT, NULL);
        memset(body.bytes + 5, 0xff, body.len - 5);
        assert_decodes((struct str){body.bytes, body.len}, label, DECODED_NOT,
                       NULL);
        free(body.bytes);
    }
    assert_decodes(STR("\x01\x02\x03\x04"), "compress", DECODED_NOT, NULL);
    assert_decodes(STR("\x01\x02\x03\x04"), "gzip", DECODED_NOT, NULL);
    /* Without a label it was meant so, whatever it is. */
    assert_decodes(STR("\x01\x02\x03\x04"), NULL, DECODED_PLAIN, NULL);
}

TEST_CASE(decode_text__a_bomb__ends_at_the_limit)
{
    static const char *const codings[] = {"gzip", "zlib", "deflate", "zstd"};
    const size_t len = 8 * LIMIT;
    char *zeros = calloc(1, len);
    for (size_t i = 0; i < 4; i++) {
        struct coded body = code(codings[i], zeros, len);
        assert_true(body.len < 64 * 1024);
        const char *label = i == 1 || i == 2 ? "deflate" : codings[i];
        assert_decodes((struct str){body.bytes, body.len}, label,
                       DECODED_TOO_LARGE, NULL);
        free(body.bytes);
    }
    free(zeros);
}

/* ---- streams ---- */

/** All of it, in pieces of `piece` bytes into rooms of `room`. */
static struct buf turn_all(struct decoder *d, struct str bytes, size_t piece,
                           size_t room, enum decode_end *end)
{
    struct buf out;
    char *place = malloc(room);
    buf_init(&out, 0);
    *end = DECODE_MORE;
    while (*end != DECODE_BAD && bytes.len) {
        struct str in = {bytes.at, bytes.len < piece ? bytes.len : piece};
        bytes.at += in.len;
        bytes.len -= in.len;
        do {
            size_t len = 0;
            *end = decoder_turn(d, &in, bytes.len == 0, place, room, &len);
            buf_add(&out, place, len);
        } while (*end == DECODE_ROOM);
        assert_true(*end == DECODE_BAD || in.len == 0);
    }
    free(place);
    return out;
}

TEST_CASE(decoder_turn__any_pieces__give_the_same)
{
    static const char *const codings[] = {"gzip", "zlib", "deflate", "zstd",
                                          NULL};
    static const size_t pieces[] = {1, 7, 4096, 1 << 20};
    size_t len = 100000;
    char *video = malloc(len);
    for (size_t i = 0; i < len; i++) {
        video[i] = (char)(i * i >> 7);
    }
    memcpy(video,
           "\0\0\0\x10"
           "ftypisom\0\0\0\0",
           16);
    for (size_t i = 0; i < 5; i++) {
        struct coded body =
            codings[i] ? code(codings[i], video, len) : (struct coded){0};
        const struct str bytes = {codings[i] ? body.bytes : video,
                                  codings[i] ? body.len : len};
        for (size_t k = 0; k < 4; k++) {
            enum decode_end end;
            struct decoder *d =
                decoder_new(str_of(i == 1 || i == 2 ? "deflate" : "gzip"));
            struct buf out =
                turn_all(d, bytes, pieces[k], k % 2 ? 16 : 65536, &end);
            assert_int_equal(end, DECODE_MORE);
            assert_int_equal(decoder_is_plain(d), codings[i] == NULL);
            assert_int_equal(decoder_is_done(d), codings[i] != NULL);
            assert_int_equal(out.len, len);
            assert_memory_equal(out.bytes, video, len);
            buf_done(&out);
            decoder_free(d);
        }
        free(body.bytes);
    }
    free(video);
}

TESTS_RUN(NULL, NULL)
