#include <string.h>

#include "lib/check.h"
#include "core/request.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * The rows are in unit/requests/: bad.jsonl and good.jsonl, one case a line.
 * A case has `message` (a JSON value) or `raw` (text, byte by byte), and what
 * must come of it: `reject`, `faults`, `warnings`, `body`, `mode`, …
 */

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 65536, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static struct request read_text(const char *text)
{
    struct request request = {0};
    assert_true(request_read(str_of(text), &arena, &request));
    return request;
}

static void open_rows(const char *name, FILE **file)
{
    char path[4096];
    snprintf(path, sizeof path, TEST_FOLDER "/requests/%s", name);
    *file = fopen(path, "r");
    if (!*file) {
        fail_msg("%s can't be read", path);
    }
}

static void expect_text(int line, const char *what, const char *wanted,
                        struct str got)
{
    if (!str_eq(str_of(wanted), got)) {
        fail_msg("line %d: %s is\n  %.*s\nnot\n  %s", line, what, (int)got.len,
                 got.at ? got.at : "", wanted ? wanted : "(absent)");
    }
}

static void expect_details(int line, const char *what, const json_t *wanted,
                           const struct details *got)
{
    struct str got_text = details_to_json(got, &arena);
    json_t *got_json =
        json_loadb(got_text.at, got_text.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(got_json);
    if (!json_equal(got_json, wanted)) {
        char *text = json_dumps(wanted, JSON_COMPACT);
        fail_msg("line %d: %s are\n  %.*s\nnot\n  %s", line, what,
                 (int)got_text.len, got_text.at, text);
    }
    json_decref(got_json);
}

/** What a row may say beyond its faults. */
static void expect_rest(int line, const json_t *row, const struct request *got)
{
    const json_t *value;
    if ((value = json_object_get(row, "mode"))) {
        expect_text(line, "mode", json_string_value(value),
                    str_of(request_mode_name(got->mode)));
    }
    if ((value = json_object_get(row, "tenant"))) {
        expect_text(line, "tenant", json_string_value(value), got->tenant);
    }
    if ((value = json_object_get(row, "metadata"))) {
        expect_text(line, "metadata", json_string_value(value), got->metadata);
    }
    if ((value = json_object_get(row, "request_id"))) {
        expect_text(line, "request_id", json_string_value(value),
                    got->request_id);
    }
    if ((value = json_object_get(row, "priority"))) {
        assert_int_equal(got->priority, json_integer_value(value));
    }
    if ((value = json_object_get(row, "deadline_seconds"))) {
        assert_int_equal(got->deadline_seconds, json_integer_value(value));
    }
    if ((value = json_object_get(row, "extend_from_task_id"))) {
        expect_text(line, "extend_from_task_id", json_string_value(value),
                    got->extend_from_task_id);
    }
    if ((value = json_object_get(row, "extend_from_request_id"))) {
        expect_text(line, "extend_from_request_id", json_string_value(value),
                    got->extend_from_request_id);
    }
}

static void try_row(int line, const json_t *row)
{
    const json_t *message = json_object_get(row, "message");
    char *text = message
                     ? json_dumps(message, JSON_COMPACT)
                     : strdup(json_string_value(json_object_get(row, "raw")));
    struct request got = read_text(text);
    const char *reject = json_string_value(json_object_get(row, "reject"));
    expect_text(line, "reject", reject ? reject : "",
                str_of(request_reject_name(got.reject)));
    if (!reject) {
        json_t *none = json_array();
        const json_t *faults = json_object_get(row, "faults");
        const json_t *warnings = json_object_get(row, "warnings");
        expect_details(line, "faults", faults ? faults : none, &got.faults);
        if (warnings) {
            expect_details(line, "warnings", warnings, &got.warnings);
        }
        expect_text(line, "body",
                    json_string_value(json_object_get(row, "body")), got.body);
        expect_rest(line, row, &got);
        json_decref(none);
    }
    free(text);
    arena_reset(&arena);
}

static int try_rows(const char *name)
{
    FILE *file = NULL;
    open_rows(name, &file);
    char *text = NULL;
    size_t size = 0;
    int line = 0;
    while (getline(&text, &size, file) > 0) {
        json_error_t error;
        json_t *row = json_loads(text, 0, &error);
        line++;
        if (!row) {
            fail_msg("%s line %d: %s", name, line, error.text);
        }
        try_row(line, row);
        json_decref(row);
    }
    free(text);
    fclose(file);
    return line;
}

TEST_CASE_WITH(request_read__bad_requests__give_exactly_the_faults, set_up,
               tear_down)
{
    assert_true(try_rows("bad.jsonl") >= 220);
}

TEST_CASE_WITH(request_read__good_requests__give_exactly_the_body, set_up,
               tear_down)
{
    assert_true(try_rows("good.jsonl") >= 80);
}

TEST_CASE_WITH(request_read__bytes_that_no_json_has__are_not_json, set_up,
               tear_down)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {NULL, 0},
        {"{\"request_id\":\"a\"}\0", 19},
        {"{\"request_id\":\"a\0\"}", 19},
        {"{\"request_id\":\"a\xff\"}", 19},
        {"{\"request_id\":\"\xc0\x80\"}", 19},
        {"{\"request_id\":\"\xed\xa0\x80\"}", 20},
        {"\xff\xfe{\0}\0", 6},
        {"{\"request_id\":\"a\",\"priority\":5\0}", 32},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct request got = {0};
        assert_true(request_read((struct str){rows[i].bytes, rows[i].len},
                                 &arena, &got));
        assert_int_equal(got.reject, REQUEST_NOT_JSON);
    }
}

TEST_CASE_WITH(request_read__around_one_mebibyte__size_decides_first, set_up,
               tear_down)
{
    size_t len = REQUEST_BYTES_MAX + 1;
    char *text = malloc(len);
    memset(text, ' ', len);
    static const char start[] =
        "{\"request_id\":\"r-1\",\"request\":{\"prompt\":\"a\"}}";
    memcpy(text, start, sizeof start - 1);
    struct request got = {0};
    assert_true(request_read((struct str){text, len}, &arena, &got));
    assert_int_equal(got.reject, REQUEST_TOO_LARGE);
    assert_true(request_read((struct str){text, len - 1}, &arena, &got));
    assert_int_equal(got.reject, REQUEST_NAMED);
    assert_int_equal(got.faults.len, 0);
    memset(text, 'x', len);
    assert_true(request_read((struct str){text, len}, &arena, &got));
    assert_int_equal(got.reject, REQUEST_TOO_LARGE);
    free(text);
}

#define BYTES(literal) (literal), sizeof(literal) - 1
#define FRAME "\0\0\x01{\xff"
#define PLAIN "{\"request_id\":\"r-1\",\"request\":{\"prompt\":\"a\"}}"

TEST_CASE_WITH(request_read__behind_confluents_frame__is_the_same, set_up,
               tear_down)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum request_reject reject;
        const char *why;
    } rows[] = {
        {BYTES(FRAME PLAIN), REQUEST_NAMED, ""},
        {BYTES("\0\0\0\0\0" PLAIN), REQUEST_NAMED, ""},
        {BYTES(FRAME "\r\n\t " PLAIN "\n"), REQUEST_NAMED, ""},
        {BYTES(FRAME "{}"), REQUEST_NO_REQUEST_ID, ""},
        {BYTES(FRAME "{\"a\":\n}"), REQUEST_NOT_JSON, "line 2, byte 1: "},
        /* Whatever else begins with a zero byte is no JSON. */
        {BYTES(FRAME "[" PLAIN "]"), REQUEST_NOT_JSON, "line 1, byte 1: a NUL"},
        {BYTES(FRAME FRAME PLAIN), REQUEST_NOT_JSON, "line 1, byte 1: a NUL"},
        {BYTES(FRAME), REQUEST_NOT_JSON, "line 1, byte 1: a NUL"},
        {BYTES(FRAME "  "), REQUEST_NOT_JSON, "line 1, byte 1: a NUL"},
        {BYTES("\0\0\x01" PLAIN), REQUEST_NOT_JSON, "line 1, byte 1: a NUL"},
        {BYTES("\x01\0\0\0\x01" PLAIN), REQUEST_NOT_JSON, "line 1, byte "},
        {BYTES("\0" PLAIN), REQUEST_NOT_JSON, "line 1, byte 1: a NUL"},
    };
    const struct request plain = read_text(PLAIN);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct request got = {0};
        assert_true(request_read((struct str){rows[i].bytes, rows[i].len},
                                 &arena, &got));
        assert_int_equal(got.reject, rows[i].reject);
        assert_true(str_starts(got.why, str_of(rows[i].why)));
        if (got.reject == REQUEST_NAMED) {
            assert_memory_equal(got.content, plain.content, DIGEST_BYTES);
            assert_true(str_eq(got.body, plain.body));
        }
    }
}

/** The frame is none of its mebibyte. */
TEST_CASE_WITH(request_read__a_framed_mebibyte__is_taken, set_up, tear_down)
{
    const size_t len = sizeof FRAME - 1 + REQUEST_BYTES_MAX;
    char *text = malloc(len + 1);
    memset(text, ' ', len + 1);
    memcpy(text, FRAME PLAIN, sizeof FRAME PLAIN - 1);
    struct request got = {0};
    assert_true(request_read((struct str){text, len}, &arena, &got));
    assert_int_equal(got.reject, REQUEST_NAMED);
    assert_true(request_read((struct str){text, len + 1}, &arena, &got));
    assert_int_equal(got.reject, REQUEST_TOO_LARGE);
    free(text);
}

TEST_CASE_WITH(request_read__a_cancel__is_none_of_a_request, set_up, tear_down)
{
    static const struct {
        const char *text;
        enum request_reject reject;
        const char *words; /* of the tenant, or of what is wrong */
    } rows[] = {
        {"{\"request_id\":\"r-1\",\"cancel\":true}", REQUEST_NAMED, "default"},
        {"{\"cancel\":true,\"tenant\":\"a.b\",\"request_id\":\"r-1\"}",
         REQUEST_NAMED, "a.b"},
        {"{\"request_id\":\"r-1\",\"cancel\":false}", REQUEST_BAD_CANCEL,
         "cancel has to be true"},
        {"{\"request_id\":\"r-1\",\"cancel\":null}", REQUEST_BAD_CANCEL,
         "cancel has to be true"},
        {"{\"request_id\":\"r-1\",\"cancel\":\"true\"}", REQUEST_BAD_CANCEL,
         "cancel has to be true"},
        {"{\"request_id\":\"r-1\",\"cancel\":1}", REQUEST_BAD_CANCEL,
         "cancel has to be true"},
        {"{\"request_id\":\"r-1\",\"cancel\":true,\"priority\":5}",
         REQUEST_BAD_CANCEL, "no other field"},
        {"{\"request_id\":\"r-1\",\"cancel\":true,\"request\":"
         "{\"prompt\":\"a\"}}",
         REQUEST_BAD_CANCEL, "no other field"},
        {"{\"request_id\":\"r-1\",\"cancel\":false,\"request\":"
         "{\"prompt\":\"a\"}}",
         REQUEST_BAD_CANCEL, "cancel has to be true"},
        {"{\"request_id\":\"r-1\",\"cancel\":true,\"tenant\":\"-\"}",
         REQUEST_BAD_CANCEL, "tenant has to be"},
        {"{\"request_id\":\"r-1\",\"cancel\":true,\"tenant\":null}",
         REQUEST_BAD_CANCEL, "tenant has to be"},
        {"{\"cancel\":true}", REQUEST_NO_REQUEST_ID, ""},
        {"{\"request_id\":\"-\",\"cancel\":true}", REQUEST_BAD_REQUEST_ID, ""},
        {"{\"request_id\":\"r-1\",\"cancel\":true,\"cancel\":true}",
         REQUEST_NOT_JSON, "duplicate"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct request got = read_text(rows[i].text);
        assert_int_equal(got.reject, rows[i].reject);
        if (got.reject == REQUEST_NAMED) {
            assert_true(got.cancel && !got.body.at && got.faults.len == 0);
            assert_true(str_eq(got.tenant, str_of(rows[i].words)));
        } else {
            assert_true(str_find_nocase(got.why, str_of(rows[i].words)) >= 0);
        }
    }
}

TEST_CASE_WITH(request_read__without_memory__leaves_the_result_alone, set_up,
               tear_down)
{
    struct arena small;
    arena_init(&small, 64, 64);
    struct request got = {.priority = 4711};
    assert_false(
        request_read(STR("{\"request_id\":\"r-1\",\"request\":{\"prompt\":5}}"),
                     &small, &got));
    assert_int_equal(got.priority, 4711);
    arena_done(&small);
}

#define CONTENT(text) read_text("{\"request_id\":\"r\"," text "}").content

TEST_CASE_WITH(request_content__equal_json_values__have_one_digest, set_up,
               tear_down)
{
    unsigned char base[DIGEST_BYTES];
    memcpy(
        base,
        CONTENT("\"request\":{\"prompt\":\"a\",\"duration\":5,\"seed\":100}"),
        sizeof base);
    static const char *const same[] = {
        "{\"request_id\":\"r\",\"request\":{\"seed\":1e2,\"duration\":5.0,"
        "\"prompt\":\"\\u0061\"}}",
        "{\"request\":{\"duration\":5,\"prompt\":\"a\",\"seed\":100},"
        "\"tenant\":\"default\",\"request_id\":\"other\"}",
        "{\"request_id\":\"r\",\"priority\":9,\"deadline_seconds\":5,"
        "\"metadata\":{\"x\":1},\"request\":{\"prompt\":\"a\",\"duration\":5,"
        "\"seed\":100}}",
    };
    static const char *const others[] = {
        "{\"request_id\":\"r\",\"tenant\":\"a\",\"request\":{\"prompt\":\"a\","
        "\"duration\":5,\"seed\":100}}",
        "{\"request_id\":\"r\",\"tenant\":null,\"request\":{\"prompt\":\"a\","
        "\"duration\":5,\"seed\":100}}",
        "{\"request_id\":\"r\",\"request\":{\"prompt\":\"a\",\"duration\":5}}",
        "{\"request_id\":\"r\",\"request\":{\"prompt\":\"a\",\"duration\":5,"
        "\"seed\":\"100\"}}",
        "{\"request_id\":\"r\",\"request\":{\"prompt\":\"a\",\"duration\":5,"
        "\"seed\":100,\"audio\":false}}",
        "{\"request_id\":\"r\",\"request\":[]}",
        "{\"request_id\":\"r\"}",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_memory_equal(read_text(same[i]).content, base, sizeof base);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_memory_not_equal(read_text(others[i]).content, base,
                                sizeof base);
    }
}

/** Equal by value beyond 2^63, too, and told apart digit by digit. */
TEST_CASE_WITH(request_content__big_integers__are_values, set_up, tear_down)
{
    unsigned char base[DIGEST_BYTES];
    memcpy(base, CONTENT("\"request\":{\"x\":10000000000000000000}"),
           sizeof base);
    assert_memory_equal(CONTENT("\"request\":{\"x\":1e19}"), base, sizeof base);
    assert_memory_not_equal(CONTENT("\"request\":{\"x\":10000000000000000001}"),
                            base, sizeof base);
    assert_memory_not_equal(
        CONTENT("\"request\":{\"x\":\"10000000000000000000\"}"), base,
        sizeof base);
}

/** As much of `piece` as a message may hold; # in it is its number. */
static size_t fill_message(char *text, const char *head, const char *piece,
                           const char *tail)
{
    size_t len = (size_t)sprintf(text, "%s", head);
    for (size_t i = 0;; i++) {
        char one[200];
        const char *mark = strchr(piece, '#');
        size_t bytes =
            mark ? (size_t)snprintf(one, sizeof one, "%.*s%zu%s",
                                    (int)(mark - piece), piece, i, mark + 1)
                 : (size_t)snprintf(one, sizeof one, "%s", piece);
        if (len + bytes + strlen(tail) + 2 > REQUEST_BYTES_MAX) {
            break;
        }
        len += (size_t)sprintf(text + len, i ? ",%s" : "%s", one);
    }
    return len + (size_t)sprintf(text + len, "%s", tail);
}

/** Counted, not timed: what is kept of a message doesn't grow with its
 * faults. */
TEST_CASE_WITH(request_read__a_mebibyte_of_faults__keeps_a_hundred, set_up,
               tear_down)
{
#define HEAD "{\"request_id\":\"a\",\"request\":{\"prompt\":\"x\","
    static const struct {
        const char *head;
        const char *piece;
        const char *tail;
        size_t least; /* of faults behind the hundredth; 0: it has warnings */
    } rows[] = {
        {HEAD "\"image_urls\":[", "1", "]}}", 500000},
        {HEAD "\"image_urls\":[", "0.1", "]}}", 200000},
        {HEAD "\"image_urls\":[", "\"\"", "]}}", 300000},
        {HEAD "\"image_urls\":[", "[]", "]}}", 300000},
        {HEAD "\"image_urls\":[", "{}", "]}}", 300000},
        {HEAD "\"image_urls\":[", "[[[[[[[[[[]]]]]]]]]]", "]}}", 40000},
        {HEAD "\"image_urls\":[", "\"http://a.b/\"", "]}}", 0},
        {HEAD "\"img_references\":[", "\"http://10.0.0.1/\"", "]}}", 50000},
        {HEAD, "\"k#\":1", "}}", 80000},
        {HEAD, "\"promptx#\":{}", "}}", 50000},
        {"{\"request_id\":\"a\",", "\"k#\":1",
         ",\"request\":{\"prompt\":\"x\"}}", 80000},
    };
#undef HEAD
    char *text = malloc(REQUEST_BYTES_MAX + 1);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct str value = {
            text,
            fill_message(text, rows[i].head, rows[i].piece, rows[i].tail)};
        struct request got = {0};
        arena_reset(&arena);
        assert_true(request_read(value, &arena, &got));
        assert_int_equal(got.reject, REQUEST_NAMED);
        assert_true(arena.used_bytes < 100000);
        const struct details *details =
            rows[i].least ? &got.faults : &got.warnings;
        assert_int_equal(details->len, REQUEST_DETAILS_MAX);
        const struct detail *last = &details->items[REQUEST_DETAILS_MAX - 1];
        assert_int_equal(strncmp(last->message.at, "and ", 4), 0);
        assert_true(strtoul(last->message.at + 4, NULL, 10) >=
                    (rows[i].least ? rows[i].least : 50000));
        assert_true(details->items[REQUEST_DETAILS_MAX - 2].message.len > 0);
    }
    free(text);
}

TEST_CASE_WITH(request_add_fault__a_good_request__becomes_a_faulty_one, set_up,
               tear_down)
{
    struct request got =
        read_text("{\"request_id\":\"r\",\"request\":{\"prompt\":\"a\","
                  "\"extend_from_task_id\":\"task_1\"}}");
    assert_non_null(got.body.at);
    request_add_fault(&got, &arena, "extend_from_task_id", "not_allowed",
                      "the source failed");
    assert_int_equal(got.faults.len, 1);
    assert_null(got.body.at);
    struct str text = details_to_json(&got.faults, &arena);
    expect_text(0, "details",
                "[{\"field\":\"extend_from_task_id\",\"code\":\"not_allowed\","
                "\"message\":\"the source failed\"}]",
                text);
}

TEST_CASE_WITH(request_details__the_worst_case__fits_an_event, set_up,
               tear_down)
{
    /* 150 unknown names of 200 signs each, every one six bytes in JSON. */
    char *text = malloc(1 << 20);
    size_t len = (size_t)sprintf(text, "{\"request_id\":\"r\",\"request\":{");
    for (int i = 0; i < 150; i++) {
        len += (size_t)sprintf(text + len, "%s\"%03d", i ? "," : "", i);
        for (int j = 0; j < 200; j++) {
            len += (size_t)sprintf(text + len, "\\u0001");
        }
        len += (size_t)sprintf(text + len, "\":1");
    }
    sprintf(text + len, "}}");
    struct request got = read_text(text);
    assert_int_equal(got.faults.len, REQUEST_DETAILS_MAX);
    assert_true(details_to_json(&got.faults, &arena).len < 200 * 1024);
    assert_true(
        str_eq(got.faults.items[99].message, STR("and 52 more faults")));
    free(text);
}

TEST_CASE_WITH(request_words__names__are_those_of_the_contract, set_up,
               tear_down)
{
    assert_string_equal(request_reject_name(REQUEST_ID_REUSED),
                        "request_id_reused");
    assert_string_equal(request_reject_name(REQUEST_TOO_OLD), "too_old");
    assert_int_equal(request_mode_parse(STR("fusion")), MODE_FUSION);
    assert_int_equal(request_mode_parse(STR("")), MODE_NONE);
    assert_int_equal(request_mode_parse(STR("text")), MODE_NONE);
}

TESTS_RUN(NULL, NULL)
