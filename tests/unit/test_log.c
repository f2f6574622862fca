/* tests/run: raced */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/check.h"
#include "base/buf.h"
#include "base/log.h"

static struct buf seen;

static void keep(const char *line, size_t len, void *context)
{
    (void)context;
    buf_add(&seen, line, len);
}

static int set_up(void **state)
{
    (void)state;
    buf_reset(&seen);
    log_redirect(keep, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_redirect(NULL, NULL);
    buf_done(&seen);
    return 0;
}

TEST_CASE_WITH(log_line__as_json__is_one_object_with_every_field, set_up,
               tear_down)
{
    log_open(LOG_INFO, true);
    log_at(LOG_WARN, "a \"b\"\n", LOG_TEXT("name", "v\n"), LOG_I64("n", -5),
           LOG_BOOL("yes", true), LOG_TEXT("none", NULL));
    assert_memory_equal(seen.bytes, "{\"time\":\"20", 11);
    assert_string_equal(strstr(seen.bytes, ",\"level\""),
                        ",\"level\":\"warn\",\"message\":\"a \\\"b\\\"\\n\","
                        "\"name\":\"v\\n\",\"n\":-5,\"yes\":true,\"none\":\"\""
                        "}\n");
}

TEST_CASE_WITH(log_line__as_text__never_breaks_the_line, set_up, tear_down)
{
    log_open(LOG_INFO, false);
    log_at(LOG_ERROR, "two\nlines", LOG_TEXT("plain", "a-b"),
           LOG_TEXT("odd", "a b\nERROR"), LOG_BOOL("no", false));
    assert_string_equal(
        seen.bytes + 25,
        "ERROR two lines plain=a-b odd=\"a b\\nERROR\" no=false\n");
}

TEST_CASE_WITH(log_line__below_the_least_level__writes_nothing, set_up,
               tear_down)
{
    log_open(LOG_WARN, false);
    assert_false(log_wants(LOG_INFO));
    log_at(LOG_INFO, "quiet");
    assert_int_equal(seen.len, 0);
    log_at(LOG_WARN, "loud");
    assert_true(seen.len > 0);
}

TEST_CASE(log_level_parse__words__known_ones_only)
{
    enum log_level level = LOG_ERROR;
    assert_true(log_level_parse(STR("debug"), &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_parse(STR("DEBUG"), &level));
    assert_false(log_level_parse(STR(""), &level));
}

/* ---- standard error ---- */

/** Standard error becomes `fd`; gives what it was. */
static int swap_stderr(int fd)
{
    int before = dup(STDERR_FILENO);
    assert_true(before >= 0);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    return before;
}

static void restore_stderr(int before)
{
    dup2(before, STDERR_FILENO);
    close(before);
}

/** What comes within the time of a line that is there, into *text. */
static void read_all(int fd, struct buf *text)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    while (poll(&wait, 1, 0) == 1) {
        char *room = buf_room(text, 65536);
        ssize_t n = read(fd, room, 65536);
        if (n <= 0) {
            return;
        }
        buf_took(text, (size_t)n);
    }
}

#define LINES 6000

TEST_CASE(log_line__nobody_reads__goes_on_and_tells_what_is_lost)
{
    int ends[2];
    char pad[400];
    struct buf text;
    buf_init(&text, 0);
    memset(pad, 'x', sizeof pad - 1);
    pad[sizeof pad - 1] = '\0';
    assert_int_equal(pipe(ends), 0);
    int before = swap_stderr(ends[1]);
    log_open(LOG_INFO, false);
    /* More than pipe and buffer take: it would never end, if it waited. */
    for (int i = 0; i < LINES; i++) {
        log_at(LOG_INFO, "line", LOG_I64("n", i), LOG_TEXT("pad", pad));
    }
    bool flushed = log_flush(50);
    int flags = fcntl(ends[1], F_GETFL);
    bool told = false;
    while (!log_flush(1)) {
        read_all(ends[0], &text);
    }
    log_at(LOG_INFO, "the last line");
    told = log_flush(10000);
    read_all(ends[0], &text);
    restore_stderr(before);
    assert_false(flushed);
    assert_true(told);
    assert_int_equal(flags & O_NONBLOCK, 0); /* others share the pipe */

    /* Every line is whole, in order, and what is missing is counted. */
    int64_t lost = 0;
    int64_t seen_lines = 0;
    bool last = false;
    buf_add_char(&text, '\0');
    for (char *line = strtok(text.bytes, "\n"); line;
         line = strtok(NULL, "\n")) {
        const char *lines = strstr(line, "lines were lost");
        const char *n = strstr(line, " n=");
        last = strstr(line, "the last line") != NULL;
        if (lines) {
            lost += strtoll(strstr(line, " lines=") + 7, NULL, 10);
        } else if (n) {
            assert_int_equal(strlen(strstr(line, " pad=") + 5), sizeof pad - 1);
            seen_lines++;
        }
    }
    assert_true(last);
    assert_true(lost > 0);
    assert_int_equal(seen_lines + lost, LINES);
    close(ends[0]);
    close(ends[1]);
    buf_done(&text);
}

TEST_CASE(log_line__somebody_reads__is_out_when_it_returns)
{
    int ends[2];
    struct buf text;
    buf_init(&text, 0);
    assert_int_equal(pipe(ends), 0);
    int before = swap_stderr(ends[1]);
    for (int i = 0; i < 100; i++) {
        log_at(LOG_INFO, "a line");
        assert_true(log_flush(10000));
    }
    restore_stderr(before);
    read_all(ends[0], &text);
    buf_add_char(&text, '\0');
    int lines = 0;
    for (const char *c = text.bytes; *c; c++) {
        lines += *c == '\n';
    }
    assert_int_equal(lines, 100);
    close(ends[0]);
    close(ends[1]);
    buf_done(&text);
}

TEST_CASE(log_line__into_a_file__is_there_at_once)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int before = swap_stderr(fileno(file));
    log_at(LOG_INFO, "a line");
    restore_stderr(before);
    char line[100] = "";
    rewind(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_non_null(strstr(line, "a line\n"));
    fclose(file);
}

TESTS_RUN(NULL, NULL)
