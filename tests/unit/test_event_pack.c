#include "lib/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/event_unpack.h"

#define HEAD(key, type)                                                        \
    "event/2\nkey 7\n" key "\nce_type 26\n" type                               \
    "\nce_id 36\n5b0089cf-1ced-5b9b-bb31-351a1b8b08cf\nce_time 24\n"           \
    "2026-11-22T06:01:01.128Z\n"
#define COMPLETED HEAD("order-1", "video.generation.completed")

/** Packed it is shorter or the same, and says the same. */
static size_t packed_len(const char *text)
{
    struct buf buf;
    struct buf back;
    buf_init(&buf, 0);
    buf_init(&back, 0);
    const struct str packed = event_pack(str_of(text), &buf);
    assert_true(str_is_utf8(packed));
    event_unpack(packed, &back);
    assert_string_equal(back.bytes, text);
    const size_t len = packed.len;
    assert_true(len <= strlen(text));
    buf_done(&buf);
    buf_done(&back);
    return len;
}

static void assert_plain(const char *text)
{
    struct buf buf;
    buf_init(&buf, 0);
    const struct str same = event_pack(str_of(text), &buf);
    assert_ptr_equal(same.at, text);
    buf_done(&buf);
}

TEST_CASE(event_pack__what_was_said_before__is_a_code)
{
    const size_t bare = packed_len(COMPLETED "value 1\n\n");
    assert_int_equal(packed_len(COMPLETED "value 1\norder-1\n"), bare + 1);
    assert_int_equal(packed_len(COMPLETED "value 1\n2026-11-22T06:01:01.128\n"),
                     bare + 1 + 9);
    assert_int_equal(
        packed_len(COMPLETED "value 1\n2026-11-22T06:01:01.128Z\n"), bare + 2);
    assert_int_equal(packed_len(COMPLETED "value 1\n2026-11-22T07:\n"),
                     bare + 14);
    /* So short a key is no gain, and would be everywhere. */
    assert_int_equal(
        packed_len(HEAD("ord", "video.generation.completed") "value 1\nord\n"),
        packed_len(HEAD("ord", "video.generation.completed") "value 1\n\n") +
            3);
}

TEST_CASE(event_pack__every_word__is_its_code)
{
    for (size_t i = 0; i < EVENT_WORDS_LEN; i++) {
        char text[1000];
        const struct event_word *word = &event_words[i];
        snprintf(text, sizeof text, COMPLETED "value 1\n.%s.%s.\n", word->text,
                 word->text);
        assert_int_equal(packed_len(text),
                         packed_len(COMPLETED "value 1\n...\n") +
                             2 * word->code_len);
        assert_true(word->code_len < word->text_len);
        /* No word has a code in it, and no two the same. */
        for (size_t o = 0; o < EVENT_WORDS_LEN; o++) {
            assert_null(strstr(event_words[o].text, word->code));
            assert_true(o == i || !strstr(event_words[o].code, word->code));
        }
    }
}

/** Words within keys, times and each other; words that are cut. */
TEST_CASE(event_pack__anything__says_the_same)
{
    packed_len(HEAD(
        "text_to_video",
        "video.generation.completed") "value 1\ntext_to_video text_to_vide\n");
    packed_len(HEAD(
        "2026-11-22T06:",
        "video.generation.completed") "value 1\n2026-11-22T06:01:01.128Z2026-11-22T06:\n");
    packed_len(HEAD(
        "\",\"tenant\":\"",
        "video.generation.completed") "value 1\n\",\"tenant\":\"\",\"tenant\":\"\n");
    packed_len(HEAD(
        "\xc3\xa4\xc3\xb6\xc3\xbc",
        "video.generation.completed") "value 1\n\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\n");
    for (size_t i = 0; i < EVENT_WORDS_LEN; i++) {
        for (size_t o = 0; o < EVENT_WORDS_LEN; o++) {
            char text[1000];
            snprintf(text, sizeof text, COMPLETED "value 1\n%.*s%s%s\n",
                     (int)(event_words[i].text_len / 2), event_words[i].text,
                     event_words[o].text, event_words[i].text + 1);
            packed_len(text);
        }
    }
}

TEST_CASE(event_pack__what_holds_a_code_or_is_no_end__stays)
{
    for (size_t i = 0; i < EVENT_WORDS_LEN; i++) {
        char text[1000];
        snprintf(text, sizeof text, COMPLETED "value 1\n%s\n",
                 event_words[i].code);
        assert_plain(text);
    }
    assert_plain(COMPLETED "value 1\n" EVENT_KEY_AGAIN "\n");
    assert_plain(COMPLETED "value 1\n" EVENT_TIME_AGAIN "\n");
    assert_plain(COMPLETED "value 1\n" EVENT_HOUR_AGAIN "\n");
    assert_plain(COMPLETED "value 1\n{\t\"a\":1}\n");
    assert_plain(HEAD("order-1", "video.generation.failed") "value 1\n{}\n");
    assert_plain(
        HEAD("two\nlines", "video.generation.completed") "value 1\n{}\n");
    assert_plain("{\"the\":\"event\"}");
    assert_plain("event/2\nkey ");
    assert_plain("");
    struct buf buf;
    buf_init(&buf, 0);
    assert_null(event_pack((struct str){0}, &buf).at);
    /* Cut anywhere within its head. */
    for (size_t len = 0; len < sizeof COMPLETED - 1; len++) {
        const struct str cut = {COMPLETED, len};
        assert_int_equal(event_pack(cut, &buf).len, len);
    }
    buf_done(&buf);
}

TEST_CASE(event_pack__no_memory__stays)
{
    static const char text[] = COMPLETED "value 1\n{}\n";
    struct buf buf;
    buf_init(&buf, 4);
    assert_ptr_equal(event_pack(str_of(text), &buf).at, text);
    buf_done(&buf);
}

TESTS_RUN(NULL, NULL)
