#include "edge/coded.h"
#include "edge/fetch_trial.h"

/*
 * Hosts that serve a good video oddly: under a label, in a coding, as a 203 or
 * a 206, behind a URL that only browsers read, or a byte at a time.
 */

#define MP4                                                                    \
    "\0\0\0\x14"                                                               \
    "ftypisom\0\0\2\0isom"                                                     \
    "\0\0\0\x0c"                                                               \
    "mdatdata"
#define MP4_BYTES 32

static struct web *web;

struct odd {
    const char *head; /* status line and headers, but for the length */
    const char *bytes;
    size_t len;
};

static int teardown(void **state)
{
    (void)state;
    close_fetcher();
    if (web) {
        web_stop(web);
        web = NULL;
    }
    loop_close(loop);
    return 0;
}

static bool serve_odd(struct web *w, int fd, const char *request, int number)
{
    /* The test may be over as soon as the last byte has left. */
    const struct odd odd = *(const struct odd *)w->context;
    char length[64];
    (void)request;
    (void)number;
    snprintf(length, sizeof length, "Content-Length: %zu\r\n\r\n", odd.len);
    web_say(fd, odd.head);
    web_say(fd, length);
    web_send(fd, odd.bytes, odd.len);
    return true;
}

static void ask_for(const char *path, const struct odd *odd, struct seen *seen)
{
    char url[256];
    if (!web) {
        web = web_start(serve_odd, NULL);
        open_fetcher(true, MIB, NULL);
    }
    web->context = (void *)(uintptr_t)odd;
    snprintf(url, sizeof url, "%s%s", web->url, path);
    *seen = (struct seen){0};
    ended = 0;
    start(seen, url);
    wait_for(1);
}

/* ---- labels and codings ---- */

TEST(fetch_start__label_on_a_plain_video__changes_nothing)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Encoding: aws-chunked\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding:\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding:  \r\n",
        "HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: video/mp4\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: utf-8, gzip\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: a-name-that-is-longer-than-any-"
        "coding-which-anybody-has-ever-registered-with-iana\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        const struct odd odd = {heads[i], MP4, MP4_BYTES};
        struct seen seen;
        ask_for("/", &odd, &seen);
        assert_int_equal(seen.end.end, REPLY_WHOLE);
        assert_int_equal(seen.head_length, MP4_BYTES);
        assert_int_equal(seen.bytes, MP4_BYTES);
        assert_int_equal(seen.end.bytes, seen.end.length);
        assert_memory_equal(seen.start, MP4, MP4_BYTES);
    }
}

TEST(fetch_start__tiny_body_under_a_label__comes_whole)
{
    const struct odd odd = {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n",
                            "video", 5};
    const struct odd none = {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n",
                             "", 0};
    struct seen seen;
    ask_for("/", &odd, &seen);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_string_equal(seen.start, "video");
    ask_for("/", &none, &seen);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.heads, 1);
    assert_int_equal(seen.bytes, 0);
}

static char *some_video(size_t len)
{
    char *video = malloc(len);
    assert_non_null(video);
    for (size_t i = 0; i < len; i++) {
        video[i] = (char)(i / 977);
    }
    memcpy(video, MP4, MP4_BYTES);
    return video;
}

TEST(fetch_start__packed_video__comes_unpacked)
{
    const size_t len = 900000;
    char *video = some_video(len);
    const uint32_t sum = sum_of(0, video, len);
    struct coded bodies[] = {
        coded_zlib(video, len, CODED_GZIP),
        coded_zlib(video, len, CODED_ZLIB),
        coded_zlib(video, len, CODED_DEFLATE),
        coded_zstd(video, len),
    };
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\n",
    };
    for (size_t i = 0; i < 4; i++) {
        const struct odd odd = {heads[i], bodies[i].bytes, bodies[i].len};
        struct seen seen;
        ask_for("/", &odd, &seen);
        assert_int_equal(seen.end.end, REPLY_WHOLE);
        assert_int_equal(seen.heads, 1);
        assert_int_equal(seen.head_length, -1);
        assert_int_equal(seen.bytes, len);
        assert_int_equal(seen.sum, sum);
        assert_int_equal(seen.end.length, len); /* proven by its own end */
        const struct odd cut = {heads[i], bodies[i].bytes, bodies[i].len / 2};
        ask_for("/", &cut, &seen);
        assert_int_equal(seen.end.end, REPLY_BROKEN);
        assert_non_null(strstr(seen.end.why, "coding"));
    }
    web_stop(web); /* its threads may still hold them */
    web = NULL;
    for (size_t i = 0; i < 4; i++) {
        free(bodies[i].bytes);
    }
    free(video);
}

TEST(fetch_resume__packed_video__pauses_lose_nothing)
{
    const size_t len = 900000;
    char *video = some_video(len);
    struct coded body = coded_zlib(video, len, CODED_GZIP);
    const struct odd odd = {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n",
                            body.bytes, body.len};
    struct seen seen = {.pause_every = 1, .pause_ms = 1};
    web = web_start(serve_odd, (void *)(uintptr_t)&odd);
    open_fetcher(true, MIB, NULL);
    seen.resume = loop_timer_new(loop, resume, &seen);
    start(&seen, web->url);
    wait_for(1);
    loop_timer_free(seen.resume);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.bytes, len);
    assert_int_equal(seen.sum, sum_of(0, video, len));
    assert_true(seen.pauses > 50);
    web_stop(web);
    web = NULL;
    free(body.bytes);
    free(video);
}

TEST(fetch_start__what_cant_be_unpacked__is_said)
{
    char *zeros = calloc(1, 4 * MIB);
    struct coded bomb = coded_zlib(zeros, 4 * MIB, CODED_GZIP);
    const struct odd odd[] = {
        {"HTTP/1.1 200 OK\r\nContent-Encoding: compress\r\n",
         "\x1f\x9d\x90\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e",
         17},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n", bomb.bytes, bomb.len},
    };
    struct seen seen;
    ask_for("/", &odd[0], &seen);
    assert_int_equal(seen.end.end, REPLY_BROKEN);
    assert_non_null(strstr(seen.end.why, "\"compress\""));
    assert_int_equal(seen.bytes, 0);
    ask_for("/", &odd[1], &seen);
    assert_int_equal(seen.end.end, REPLY_TOO_LARGE);
    assert_true(seen.bytes <= MIB);
    web_stop(web);
    web = NULL;
    free(bomb.bytes);
    free(zeros);
}

/** What comes packed and holds nothing is bounded, too: members of gzip
 * without a byte in them. */
TEST(fetch_start__packed_nothing_without_end__is_too_large)
{
    struct coded member = coded_zlib("", 0, CODED_GZIP);
    const size_t times = 3 * MIB / member.len;
    char *bytes = malloc(times * member.len);
    for (size_t i = 0; i < times; i++) {
        memcpy(bytes + i * member.len, member.bytes, member.len);
    }
    const struct odd odd = {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n",
                            bytes, times * member.len};
    struct seen seen;
    ask_for("/", &odd, &seen);
    assert_int_equal(seen.end.end, REPLY_TOO_LARGE);
    assert_int_equal(seen.bytes, 0);
    web_stop(web);
    web = NULL;
    free(bytes);
    free(member.bytes);
}

/* ---- statuses ---- */

TEST(fetch_start__203_and_a_whole_206__bring_the_video)
{
    static const struct {
        const char *head;
        bool good;
    } rows[] = {
        {"HTTP/1.1 203 Non-Authoritative\r\n", true},
        {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-31/32\r\n", true},
        {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-31/33\r\n", false},
        {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 1-32/33\r\n", false},
        {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-32/33\r\n", false},
        {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-31/*\r\n", false},
        {"HTTP/1.1 206 Partial\r\n", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct odd odd = {rows[i].head, MP4, MP4_BYTES};
        struct seen seen;
        ask_for("/", &odd, &seen);
        assert_int_equal(seen.end.end,
                         rows[i].good ? REPLY_WHOLE : REPLY_BROKEN);
        assert_int_equal(seen.end.status, atoi(rows[i].head + 9));
        assert_int_equal(seen.bytes, rows[i].good ? MP4_BYTES : 0);
    }
}

/* ---- URLs ---- */

TEST(fetch_start__url_of_a_browser__is_asked_for_encoded)
{
    const struct odd odd = {"HTTP/1.1 200 OK\r\n", MP4, MP4_BYTES};
    struct seen seen;
    ask_for("/my video/\xc3\xa9|\"0\".mp4?a=b c&s=%2F+/=", &odd, &seen);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_non_null(strstr(web->last, "GET /my%20video/%C3%A9|%220%22.mp4?"
                                      "a=b%20c&s=%2F+/= HTTP/1.1\r\n"));
    ask_for("/a\r\nX-Evil: y", &odd, &seen);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_null(strstr(web->last, "\r\nX-Evil:"));
}

/** /from goes to what the context says; all else is a video. */
static bool serve_redirect(struct web *w, int fd, const char *request,
                           int number)
{
    const struct odd odd = {"HTTP/1.1 200 OK\r\n", MP4, MP4_BYTES};
    char reply[512];
    if (!strstr(request, "/from")) {
        struct web other = {.context = (void *)(uintptr_t)&odd};
        return serve_odd(&other, fd, request, number);
    }
    snprintf(reply, sizeof reply,
             "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
             (const char *)w->context);
    return web_say(fd, reply);
}

TEST(fetch_start__location_with_spaces__is_followed)
{
    static const char *const rows[][2] = {
        {"/my video.mp4", "GET /my%20video.mp4 "},
        {"my video.mp4?q=x y", "GET /deep/my%20video.mp4?q=x%20y "},
        {"../up \xc3\xa9.mp4", "GET /up%20%C3%A9.mp4 "},
        {"?only a query", "GET /deep/from?only%20a%20query "},
        {"  /trimmed  ", "GET /trimmed "},
    };
    char absolute[256];
    web = web_start(serve_redirect, NULL);
    open_fetcher(true, MIB, NULL);
    for (size_t i = 0; i < 6; i++) {
        struct seen seen = {0};
        char url[256];
        ended = 0;
        snprintf(absolute, sizeof absolute, "%s/all of it", web->url);
        web->context = (void *)(uintptr_t)(i < 5 ? rows[i][0] : absolute);
        snprintf(url, sizeof url, "%s/deep/from", web->url);
        start(&seen, url);
        wait_for(1);
        const char *expected = i < 5 ? rows[i][1] : "GET /all%20of%20it ";
        if (i == 3) { /* it leads to itself, three times */
            assert_true(seen.end.forbidden);
        } else {
            assert_int_equal(seen.end.end, REPLY_WHOLE);
        }
        assert_true(strncmp(web->last, expected, strlen(expected)) == 0);
    }
}

/** A few bytes over what is followed. */
static bool serve_far(struct web *w, int fd, const char *request, int number)
{
    char path[16400];
    (void)w;
    (void)request;
    (void)number;
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    web_say(fd, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /");
    web_say(fd, path);
    return web_say(fd, "\r\n\r\n");
}

TEST(fetch_start__location_without_end__is_not_followed)
{
    struct seen seen = {0};
    web = web_start(serve_far, NULL);
    open_fetcher(true, MIB, NULL);
    start(&seen, web->url);
    wait_for(1);
    assert_true(seen.end.forbidden);
    assert_int_equal(web->requests, 1);
}

/* ---- a least rate ---- */

static atomic_bool drips;

static bool serve_drip(struct web *w, int fd, const char *request, int number)
{
    (void)request;
    (void)number;
    web_say(fd, w->context);
    while (drips && !w->stopping && web_send(fd, "X", 1)) {
        web_sleep_ms(20);
    }
    return false;
}

static int slow_asked;
static int slow_borne;

static bool on_slow(void *context)
{
    (void)context;
    return ++slow_asked <= slow_borne;
}

static const struct fetch_hooks slow_hooks = {.on_head = on_head,
                                              .on_data = on_data,
                                              .on_slow = on_slow,
                                              .on_end = on_end};

static void drip(const char *head, int borne, struct seen *seen)
{
    struct err err = {0};
    const struct fetcher_options options = {
        .allow_private = true, .bytes_max = MIB, .window_ms = 400};
    drips = true;
    slow_asked = 0;
    slow_borne = borne;
    ended = 0;
    web = web_start(serve_drip, (void *)(uintptr_t)head);
    fetcher = fetcher_open(loop, &options, &err);
    seen->fetch = fetch_start(fetcher, str_of(web->url), 5000, 10000,
                              borne < 0 ? &hooks : &slow_hooks, seen, &err);
    assert_non_null(seen->fetch);
    wait_for(1);
    drips = false;
    close_fetcher();
    web_stop(web);
    web = NULL;
}

TEST(fetch_start__host_that_drips__is_left)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Header: ", /* and never ends */
        "HTTP/1.1 503 Later\r\nContent-Length: 60000\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct seen seen = {0};
        drip(heads[i], -1, &seen);
        assert_int_equal(seen.end.end, REPLY_TIMED_OUT);
        assert_false(seen.end.forbidden);
        assert_non_null(strstr(seen.end.why, "4 KiB"));
    }
}

TEST(fetch_start__reader_bears_it__goes_on)
{
    struct seen seen = {0};
    drip("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", 2, &seen);
    assert_int_equal(slow_asked, 3);
    assert_int_equal(seen.end.end, REPLY_TIMED_OUT);
    assert_non_null(strstr(seen.end.why, "4 KiB"));
}

#define STOPPED_MS 1100 /* when it stands still, and for how long */
#define STANDS_MS 1500

static bool serve_while_stopped(struct web *w, int fd, const char *request,
                                int number)
{
    (void)w;
    (void)request;
    (void)number;
    return web_say_while_stopped(
        fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfilm", STOPPED_MS,
        STANDS_MS);
}

#define PATIENCE_MS 1950

/** Whether the process was stopped before its patience was over: on a busy
 * machine that may come late, and is seen by when it was let go again. What
 * ended earlier than that was given up before the stop. */
static bool is_stopped_in_time(struct seen *seen)
{
    struct err err;
    const struct fetcher_options options = {.allow_private = true,
                                            .bytes_max = MIB};
    *seen = (struct seen){0};
    ended = 0;
    web = web_start(serve_while_stopped, NULL);
    fetcher = fetcher_open(loop, &options, &err);
    const int64_t began_ms = loop_boot_ms(loop);
    seen->fetch = fetch_start(fetcher, str_of(web->url), 5000, PATIENCE_MS,
                              &hooks, seen, &err);
    assert_non_null(seen->fetch);
    wait_for(1);
    const int64_t took_ms = loop_boot_ms(loop) - began_ms;
    close_fetcher();
    web_stop(web);
    web = NULL;
    return took_ms >= STOPPED_MS + STANDS_MS &&
           took_ms < PATIENCE_MS + STANDS_MS;
}

TEST(fetch_start__the_process_stands_still__is_no_stall)
{
    /* libcurl looks by chance after one second, and after two. */
    struct seen seen;
    bool in_time = false;
    for (int i = 0; i < 10 && !in_time; i++) {
        in_time = is_stopped_in_time(&seen);
    }
    assert_true(in_time);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.bytes, 4);
}

static bool serve_headers(struct web *w, int fd, const char *request,
                          int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 100; i++) {
        char line[1024];
        snprintf(line, sizeof line, "X-%d: %0*d\r\n", i, 1000, i);
        web_say(fd, line);
    }
    return web_say(fd, "Content-Length: 4\r\n\r\nfilm");
}

TEST(fetch_start__flood_of_headers__is_broken)
{
    struct err err;
    struct seen seen = {0};
    const struct fetcher_options options = {.allow_private = true,
                                            .bytes_max = MIB};
    ended = 0;
    web = web_start(serve_headers, NULL);
    fetcher = fetcher_open(loop, &options, &err);
    seen.fetch =
        fetch_start(fetcher, str_of(web->url), 5000, 5000, &hooks, &seen, &err);
    assert_non_null(seen.fetch);
    wait_for(1);
    assert_int_equal(seen.end.end, REPLY_BROKEN);
    assert_int_equal(seen.bytes, 0);
    close_fetcher();
    web_stop(web);
    web = NULL;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
