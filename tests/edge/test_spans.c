#include "edge/spans.h"
#include "edge/web.h"
#include "lib/check.h"

#include <signal.h>

/* A collector that takes spans, refuses them, or is away. */

#define LIMIT_MS 60000

static struct loop *loop;
static struct spans *spans;
static struct web *web;
static struct task_row row;
static int64_t sent;
static int64_t dropped;
static char why[200];
static int flushed;
static int64_t awaited;

static bool serve(struct web *w, int fd, const char *request, int number)
{
    (void)request;
    (void)number;
    return web_say(fd, w->context);
}

static void on_told(void *context, int64_t n, const char *said)
{
    (void)context;
    sent += said ? 0 : n;
    dropped += said ? n : 0;
    snprintf(why, sizeof why, "%s", said ? said : "");
    if (awaited && sent + dropped >= awaited) {
        loop_stop(loop);
    }
}

static void out_of_time(void *context)
{
    (void)context;
    fail_msg("only %d spans were told of", (int)(sent + dropped));
}

static void wait_for(int64_t n)
{
    struct loop_timer *limit = loop_timer_new(loop, out_of_time, NULL);
    loop_timer_set(limit, LIMIT_MS);
    awaited = n;
    if (sent + dropped < n) {
        loop_run(loop);
    }
    loop_timer_free(limit);
}

static void open_spans(const char *url, int64_t every_ms)
{
    struct err err = {0};
    const struct spans_options options = {
        .url = url,
        .headers = "x-key=se%20cret",
        .service = "svc",
        .attributes = "a=b",
        .ratio = 1,
        .every_ms = every_ms,
    };
    spans = spans_open(loop, &options, on_told, NULL, &err);
    assert_non_null(spans);
}

static void add(const char *id)
{
    row = (struct task_row){
        .received_ms = 1, .first_sent_ms = 2, .settled_ms = 4, .state = CLOSED};
    const struct span_request request = {
        .row = &row, .request_id = str_of(id), .now_ms = 5};
    spans_add(spans, &request); /* three */
}

static int setup(void **state)
{
    struct err err = {0};
    (void)state;
    sent = dropped = awaited = 0;
    flushed = 0;
    loop = loop_open(&err);
    web = web_start(serve, (void *)(uintptr_t) "HTTP/1.1 200 OK\r\n"
                                               "Content-Length: 2\r\n\r\n{}");
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    spans_close(spans);
    web_stop(web);
    loop_close(loop);
    return 0;
}

#define TEST(name) TEST_CASE_WITH(name, setup, teardown)

TEST(spans_add__some__go_in_one_message)
{
    open_spans(web->url, 10);
    add("a");
    add("b");
    wait_for(6);
    assert_int_equal(sent, 6);
    assert_int_equal(dropped, 0);
    assert_int_equal(web->requests, 1);
    assert_non_null(strstr(web->last, "POST / HTTP/1.1\r\n"));
    assert_non_null(
        strcasestr(web->last, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(web->last, "\r\nx-key: se cret\r\n"));
    assert_non_null(strstr(web->last, "{\"resourceSpans\":[{\"resource\""));
    assert_non_null(strstr(web->last, "]}]}]}"));
    add("c");
    wait_for(9);
    assert_int_equal(sent, 9);
    assert_int_equal(web->requests, 2);
}

TEST(spans_add__a_refusal__drops_them_and_says_so)
{
    web->context = (void *)(uintptr_t) "HTTP/1.1 503 No\r\n"
                                       "Content-Length: 0\r\n\r\n";
    open_spans(web->url, 10);
    add("a");
    wait_for(3);
    assert_int_equal(dropped, 3);
    assert_string_equal(why, "it answers 503");
    web->context = (void *)(uintptr_t) "HTTP/1.1 200 OK\r\n"
                                       "Content-Length: 0\r\n\r\n";
    add("b");
    wait_for(6);
    assert_int_equal(sent, 3);
    assert_int_equal(web->requests, 2);
}

/** What finds no room is dropped; what waits stays whole. */
TEST(spans_add__a_collector_that_is_away__costs_spans_only)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", web_free_port());
    open_spans(url, 3600000);
    int64_t n = 0;
    while (dropped == 0) {
        add("request");
        n += 3;
        assert_true(n < 100000);
    }
    assert_int_equal(dropped, 3);
    assert_non_null(strstr(why, "too many"));
    const int64_t before = dropped;
    add("request");
    assert_int_equal(dropped, before + 3);
    n += 3;
    wait_for(n);
    assert_int_equal(dropped, n);
    assert_int_equal(sent, 0);
}

static void on_flushed(void *context)
{
    (void)context;
    flushed++;
    loop_stop(loop);
}

TEST(spans_flush__what_is_left__goes_at_once)
{
    open_spans(web->url, 3600000);
    add("a");
    spans_flush(spans, 10000, on_flushed, NULL);
    assert_int_equal(flushed, 0);
    loop_run(loop);
    assert_int_equal(flushed, 1);
    assert_int_equal(sent, 3);
    spans_flush(spans, 10000, on_flushed, NULL); /* nothing is */
    loop_run(loop);
    assert_int_equal(flushed, 2);
}

static bool serve_never(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_hold(fd);
    return false;
}

TEST(spans_flush__nobody_answers__ends_in_time)
{
    web_stop(web);
    web = web_start(serve_never, NULL);
    open_spans(web->url, 3600000);
    add("a");
    spans_flush(spans, 200, on_flushed, NULL);
    loop_run(loop);
    assert_int_equal(flushed, 1);
    assert_int_equal(sent + dropped, 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
