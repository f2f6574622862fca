#include "edge/fetch_trial.h"

#define VIDEO_BYTES (3 * MIB + 12345)

static struct web *web;
static atomic_llong served; /* bytes of bodies, given to the socket */

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

static const char *url_of(const char *path)
{
    static char url[256];
    snprintf(url, sizeof url, "%s%s", web->url, path);
    return url;
}

/* ---- the server's side ---- */

static bool serve_text(struct web *w, int fd, const char *request, int number)
{
    (void)request;
    (void)number;
    web_say(fd, w->context);
    return false;
}

static bool serve_ok(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    return web_say(fd, "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n"
                       "Content-Length: 5\r\n\r\nvideo");
}

static bool serve_hold(struct web *w, int fd, const char *request, int number)
{
    serve_text(w, fd, request, number);
    web_hold(fd);
    return false;
}

static void fill(char *bytes, size_t len, int64_t from)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)((from + (int64_t)i) * 31 >> 3);
    }
}

static uint32_t sum_of_video(int64_t bytes_all)
{
    static char bytes[65536];
    uint32_t sum = 0;
    for (int64_t at = 0; at < bytes_all;) {
        size_t len = bytes_all - at < 65536 ? (size_t)(bytes_all - at) : 65536;
        fill(bytes, len, at);
        sum = sum_of(sum, bytes, len);
        at += (int64_t)len;
    }
    return sum;
}

/** A body of *(int64_t *)context bytes; paths choose how it is announced. */
static bool serve_video(struct web *w, int fd, const char *request, int number)
{
    (void)number;
    int64_t left = *(int64_t *)w->context;
    int64_t at = 0;
    char head[128];
    char bytes[65536];
    bool no_length = strstr(request, " /no-length ") != NULL;
    bool cut = strstr(request, " /cut ") != NULL;
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n",
             (long long)left);
    web_say(fd,
            no_length ? "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" : head);
    left -= cut ? 1 : 0;
    while (left > 0) {
        size_t len = left < 65536 ? (size_t)left : 65536;
        fill(bytes, len, at);
        if (!web_send(fd, bytes, len)) {
            return false;
        }
        atomic_fetch_add(&served, (long long)len);
        at += (int64_t)len;
        left -= (int64_t)len;
    }
    return !no_length && !cut;
}

/* ---- whole bodies ---- */

TEST(fetch_start__body_with_length__comes_whole)
{
    static int64_t bytes = VIDEO_BYTES;
    struct seen seen = {0};
    web = web_start(serve_video, &bytes);
    open_fetcher(true, 4 * MIB, NULL);
    start(&seen, url_of("/v.mp4?X-Signature=abc"));
    wait_for(1);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.end.status, 200);
    assert_int_equal(seen.end.bytes, bytes);
    assert_int_equal(seen.end.length, bytes);
    assert_false(seen.end.forbidden);
    assert_int_equal(seen.heads, 1);
    assert_int_equal(seen.head_length, bytes);
    assert_int_equal(seen.bytes, bytes);
    assert_int_equal(seen.sum, sum_of_video(bytes));
    assert_non_null(strstr(web->last, "GET /v.mp4?X-Signature=abc HTTP/1.1"));
}

TEST(fetch_start__no_length__ends_with_the_connection)
{
    static int64_t bytes = VIDEO_BYTES;
    struct seen seen = {0};
    web = web_start(serve_video, &bytes);
    open_fetcher(true, 4 * MIB, NULL);
    start(&seen, url_of("/no-length"));
    wait_for(1);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.end.length, -1);
    assert_int_equal(seen.head_length, -1);
    assert_int_equal(seen.sum, sum_of_video(bytes));
}

TEST(fetch_start__empty_body__tells_the_head)
{
    struct seen seen = {0};
    web = web_start(serve_text, "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n"
                                "Content-Length: 0\r\n\r\n");
    open_fetcher(true, MIB, NULL);
    start(&seen, url_of("/"));
    wait_for(1);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.end.bytes, 0);
    assert_int_equal(seen.heads, 1);
    assert_int_equal(seen.head_length, 0);
    assert_string_equal(seen.type, "video/mp4");
}

TEST(fetch_start__any__shows_nothing_of_ours)
{
    struct seen seen[2] = {0};
    web = web_start(serve_text, "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n"
                                "Content-Length: 5\r\n\r\nvideo");
    open_fetcher(true, MIB, NULL);
    for (int i = 0; i < 2; i++) {
        start(&seen[i], url_of("/"));
        wait_for(i + 1);
        if (seen[i].end.end != REPLY_WHOLE) {
            fail_msg("%d: end %d, status %d, %s", i, (int)seen[i].end.end,
                     seen[i].end.status, seen[i].end.why);
        }
        assert_string_equal(seen[i].start, "video");
        assert_null(strcasestr(web->last, "\r\nAuthorization:"));
        assert_null(strcasestr(web->last, "\r\nCookie:"));
        assert_non_null(strstr(web->last, "\r\nAccept-Encoding: identity\r\n"));
        assert_null(strcasestr(web->last, "\r\nRange:"));
        assert_null(strcasestr(web->last, "\r\nReferer:"));
    }
}

TEST(fetch_start__many_at_once__come_each)
{
    static int64_t bytes = VIDEO_BYTES;
    static struct seen seen[16];
    memset(seen, 0, sizeof seen);
    web = web_start(serve_video, &bytes);
    open_fetcher(true, 4 * MIB, NULL);
    for (int i = 0; i < 16; i++) {
        start(&seen[i], url_of("/v"));
    }
    wait_for(16);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(seen[i].ends, 1);
        assert_int_equal(seen[i].end.end, REPLY_WHOLE);
        assert_int_equal(seen[i].sum, sum_of_video(bytes));
    }
}

/* ---- bodies that are not whole ---- */

TEST(fetch_start__shorter_than_its_length__is_broken)
{
    static int64_t bytes = VIDEO_BYTES;
    struct seen seen = {0};
    web = web_start(serve_video, &bytes);
    open_fetcher(true, 4 * MIB, NULL);
    start(&seen, url_of("/cut"));
    wait_for(1);
    assert_int_equal(seen.end.end, REPLY_BROKEN);
    assert_int_equal(seen.end.status, 200);
    assert_int_equal(seen.end.bytes, bytes - 1);
    assert_int_equal(seen.end.length, bytes);
    assert_false(seen.end.forbidden);
}

TEST(fetch_start__over_the_limit__is_too_large)
{
    static int64_t bytes = VIDEO_BYTES;
    struct seen seen[2] = {0};
    web = web_start(serve_video, &bytes);
    open_fetcher(true, VIDEO_BYTES - 1, NULL);
    start(&seen[0], url_of("/v"));
    start(&seen[1], url_of("/no-length"));
    wait_for(2);
    assert_int_equal(seen[0].end.end, REPLY_TOO_LARGE);
    assert_int_equal(seen[0].bytes, 0);
    assert_int_equal(seen[0].heads, 0);
    assert_int_equal(seen[1].end.end, REPLY_TOO_LARGE);
    assert_true(seen[1].bytes <= VIDEO_BYTES - 1);
}

TEST(fetch_start__error_status__brings_status_and_no_bytes)
{
    struct seen seen = {0};
    web = web_start(serve_text, "HTTP/1.1 403 Forbidden\r\nRetry-After: 12\r\n"
                                "Content-Length: 7\r\n\r\nexpired");
    open_fetcher(true, MIB, NULL);
    start(&seen, url_of("/"));
    wait_for(1);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.end.status, 403);
    assert_int_equal(seen.end.bytes, 0);
    assert_int_equal(seen.end.retry_after_ms_hint, 12000);
    assert_int_equal(seen.heads, 0);
    assert_int_equal(seen.bytes, 0);
}

TEST(fetch_start__reader_refuses__brings_no_bytes)
{
    struct seen seen = {.refuse = true};
    web = web_start(serve_ok, NULL);
    open_fetcher(true, MIB, NULL);
    start(&seen, url_of("/"));
    wait_for(1);
    assert_int_equal(seen.heads, 1);
    assert_int_equal(seen.bytes, 0);
    assert_int_not_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.end.status, 200);
    assert_false(seen.end.forbidden);
}

TEST(fetch_start__nothing_listens__is_unreached)
{
    char url[64];
    struct seen seen = {0};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", web_free_port());
    open_fetcher(true, MIB, NULL);
    start(&seen, url);
    wait_for(1);
    assert_int_equal(seen.end.end, REPLY_UNREACHED);
    assert_int_equal(seen.end.status, 0);
    assert_false(seen.end.forbidden);
    assert_true(seen.end.why[0] != '\0');
}

TEST(fetch_start__server_says_nothing__times_out)
{
    struct seen seen[2] = {0};
    char url[64];
    web = web_start(serve_hold, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
                                "some");
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", web->port);
    open_fetcher(true, MIB, NULL);
    start_with(&seen[0], url_of("/"), 5000, 4000);
    /* The server waits for a request, we for its hello. */
    start_with(&seen[1], url, 300, 5000);
    wait_for(2);
    assert_int_equal(seen[0].end.end, REPLY_TIMED_OUT);
    assert_int_equal(seen[0].end.status, 200);
    assert_int_equal(seen[0].end.bytes, 4);
    assert_int_equal(seen[1].end.end, REPLY_TIMED_OUT);
    assert_int_equal(seen[1].end.status, 0);
}

static bool serve_drip(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        web_sleep_ms(300);
        web_say(fd, "x");
    }
    return true;
}

TEST(fetch_start__slow_but_steady__comes_whole)
{
    struct seen seen = {0};
    web = web_start(serve_drip, NULL);
    open_fetcher(true, MIB, NULL);
    start_with(&seen, url_of("/"), 5000, 2000); /* it takes three */
    wait_for(1);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.end.bytes, 10);
}

/* ---- pauses ---- */

TEST(fetch_resume__pauses_all_the_way__comes_whole)
{
    static int64_t bytes = 32 * MIB;
    struct seen seen = {.pause_every = MIB / 4, .pause_ms = 1};
    web = web_start(serve_video, &bytes);
    open_fetcher(true, 64 * MIB, NULL);
    seen.resume = loop_timer_new(loop, resume, &seen);
    start(&seen, url_of("/v"));
    wait_for(1);
    loop_timer_free(seen.resume);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.bytes, bytes);
    assert_int_equal(seen.sum, sum_of_video(bytes));
    assert_true(seen.pauses >= 64);
}

TEST(fetch_resume__long_pause__holds_the_server_back)
{
    static int64_t bytes = 256 * MIB;
    struct seen seen = {.pause_every = MIB, .pause_ms = 60000};
    web = web_start(serve_video, &bytes);
    served = 0;
    open_fetcher(true, 512 * MIB, NULL);
    seen.resume = loop_timer_new(loop, resume, &seen);
    start_with(&seen, url_of("/v"), 5000, 2000);
    while (!seen.pauses && !seen.ends) {
        turn_for(5);
    }
    turn_for(4000); /* twice what a stall may last */
    assert_int_equal(seen.pauses, 1);
    assert_int_equal(seen.ends, 0);
    assert_true(seen.bytes < 2 * MIB);
    assert_true(served < 32 * MIB); /* what the kernel's buffers hold */
    seen.pause_every = 0;
    loop_timer_set(seen.resume, 0);
    wait_for(1);
    loop_timer_free(seen.resume);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.bytes, bytes);
}

/* ---- redirects ---- */

/** /n goes to /n-1, and /0 is the video. */
static bool serve_hops(struct web *w, int fd, const char *request, int number)
{
    char reply[256];
    int left = atoi(request + strlen("GET /"));
    if (left == 0) {
        return serve_ok(w, fd, request, number);
    }
    snprintf(reply, sizeof reply,
             "HTTP/1.1 302 Found\r\nLocation: %s/%d\r\nSet-Cookie: a=b\r\n"
             "Retry-After: 5\r\nContent-Length: 9\r\n\r\nelsewhere",
             left % 2 ? "" : w->url, left - 1);
    return web_say(fd, reply);
}

TEST(fetch_start__three_redirects__are_followed)
{
    struct seen seen = {0};
    web = web_start(serve_hops, NULL);
    open_fetcher(true, MIB, NULL);
    start(&seen, url_of("/3"));
    wait_for(1);
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.end.status, 200);
    assert_int_equal(seen.end.retry_after_ms_hint, 0);
    assert_string_equal(seen.start, "video");
    assert_int_equal(seen.heads, 1);
    assert_int_equal(web->requests, 4);
    assert_null(strcasestr(web->last, "\r\nCookie:"));
}

TEST(fetch_start__four_redirects__are_too_many)
{
    struct seen seen = {0};
    web = web_start(serve_hops, NULL);
    open_fetcher(true, MIB, NULL);
    start(&seen, url_of("/4"));
    wait_for(1);
    assert_true(seen.end.forbidden);
    assert_int_equal(seen.end.status, 302);
    assert_int_equal(seen.bytes, 0);
    assert_int_equal(web->requests, 4);
}

TEST(fetch_start__redirect_without_a_place__is_its_status)
{
    struct seen seen = {0};
    web = web_start(serve_text,
                    "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
    open_fetcher(true, MIB, NULL);
    start(&seen, url_of("/"));
    wait_for(1);
    assert_false(seen.end.forbidden);
    assert_int_equal(seen.end.status, 302);
    assert_int_equal(seen.heads, 0);
}

/* ---- ends that we make ---- */

TEST(fetch_cancel__in_mid_body__ends_it_later)
{
    struct seen seen = {0};
    web = web_start(serve_hold, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
                                "some");
    open_fetcher(true, MIB, NULL);
    start(&seen, url_of("/"));
    while (!seen.bytes) {
        turn_for(5);
    }
    fetch_cancel(seen.fetch);
    assert_int_equal(seen.ends, 0);
    wait_for(1);
    assert_int_equal(seen.end.end, REPLY_CANCELLED);
    assert_int_equal(seen.end.bytes, 4);
}

TEST(fetch_cancel__while_paused__ends_it)
{
    static int64_t bytes = 32 * MIB;
    struct seen seen = {.pause_every = MIB, .pause_ms = 60000};
    web = web_start(serve_video, &bytes);
    open_fetcher(true, 64 * MIB, NULL);
    seen.resume = loop_timer_new(loop, resume, &seen);
    start(&seen, url_of("/v"));
    while (!seen.pauses) {
        turn_for(5);
    }
    turn_for(50);
    fetch_cancel(seen.fetch);
    wait_for(1);
    loop_timer_free(seen.resume);
    assert_int_equal(seen.end.end, REPLY_CANCELLED);
}

TEST(fetcher_close__in_mid_flight__ends_each_once)
{
    static struct seen seen[8];
    memset(seen, 0, sizeof seen);
    web = web_start(serve_hold, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
                                "some");
    open_fetcher(true, MIB, NULL);
    for (int i = 0; i < 8; i++) {
        start(&seen[i], url_of("/"));
    }
    while (!seen[7].bytes) {
        turn_for(5);
    }
    fetch_cancel(seen[0].fetch);
    fetch_resume(seen[1].fetch);
    close_fetcher();
    turn_for(20); /* what was asked for comes to nothing */
    for (int i = 0; i < 8; i++) {
        assert_int_equal(seen[i].ends, 1);
        assert_int_equal(seen[i].end.end, REPLY_CANCELLED);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
