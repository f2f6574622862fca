#include "edge/coded.h"
#include "edge/web.h"
#include "edge/web/wire.h"
#include "lib/check.h"

#include <signal.h>

/* Stores and endpoints that never stall and never end. */

#define LIMIT_MS 60000

static struct loop *loop;
static struct wire *wire;
static struct web *web;
static int ends;
static bool whole;
static char why[160];
static char body[256];

static void out_of_time(void *context)
{
    (void)context;
    fail_msg("the call did not end");
}

static void on_end(void *context, const struct wire_answer *answer)
{
    (void)context;
    ends++;
    whole = answer->whole;
    snprintf(why, sizeof why, "%s", answer->why);
    snprintf(body, sizeof body, "%.*s", (int)answer->body.len,
             answer->body.len ? answer->body.at : "");
    loop_stop(loop);
}

static void on_sink(void *context, const char *bytes, size_t len)
{
    (void)context;
    (void)bytes;
    (void)len;
}

static bool serve_drip(struct web *w, int fd, const char *request, int number)
{
    (void)request;
    (void)number;
    web_say(fd, w->context);
    while (!w->stopping && web_send(fd, " ", 1)) {
        web_sleep_ms(20);
    }
    return false;
}

/** Thinks for a second, with a space now and then, as S3 puts parts
 * together. */
static bool serve_thought(struct web *w, int fd, const char *request,
                          int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        web_sleep_ms(50);
        web_say(fd, " ");
    }
    return true;
}

static int setup(void **state)
{
    struct err err = {0};
    (void)state;
    ends = 0;
    loop = loop_open(&err);
    wire = wire_open(loop, 4, NULL, &err);
    return loop && wire ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    wire_close(wire);
    if (web) {
        web_stop(web);
        web = NULL;
    }
    loop_close(loop);
    return 0;
}

static void call(struct wire_request request)
{
    struct loop_timer *limit = loop_timer_new(loop, out_of_time, NULL);
    request.url = web->url;
    request.connect_ms = 5000;
    request.stall_ms = 10000;
    loop_timer_set(limit, LIMIT_MS);
    assert_non_null(wire_start(wire, &request, on_end, NULL));
    loop_run(loop);
    loop_timer_free(limit);
    assert_int_equal(ends, 1);
}

TEST_CASE_WITH(wire_start__store_that_drips__is_given_up, setup, teardown)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: ",
        "HTTP/1.1 503 X\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        ends = 0;
        web = web_start(serve_drip, (void *)(uintptr_t)heads[i]);
        call((struct wire_request){
            .method = "GET", .window_ms = 400, .sink = on_sink});
        web_stop(web);
        web = NULL;
        assert_false(whole);
        assert_non_null(strstr(why, "4 KiB"));
    }
}

TEST_CASE_WITH(wire_start__thinks_aloud__is_waited_for, setup, teardown)
{
    web = web_start(serve_thought, NULL);
    call((struct wire_request){.method = "POST", .whole_ms = 15000});
    assert_true(whole);
}

TEST_CASE_WITH(wire_start__never_done__ends_at_its_limit, setup, teardown)
{
    web = web_start(serve_drip, (void *)(uintptr_t) "HTTP/1.1 200 OK\r\n\r\n");
    call((struct wire_request){.method = "POST", .whole_ms = 400});
    assert_false(whole);
    assert_non_null(strstr(why, "not done within"));
}

static bool serve_packed(struct web *w, int fd, const char *request, int number)
{
    char head[128];
    struct coded packed =
        coded_zlib(CODED_JSON, strlen(CODED_JSON), CODED_GZIP);
    (void)w;
    (void)request;
    (void)number;
    snprintf(head, sizeof head,
             "HTTP/1.1 403 X\r\nContent-Encoding: gzip\r\n"
             "Content-Length: %zu\r\n\r\n",
             packed.len);
    web_say(fd, head);
    web_send(fd, packed.bytes, packed.len);
    free(packed.bytes);
    return true;
}

TEST_CASE_WITH(wire_start__packed_answer__comes_as_it_was_meant, setup,
               teardown)
{
    web = web_start(serve_packed, NULL);
    call((struct wire_request){.method = "GET"});
    assert_true(whole);
    assert_string_equal(body, CODED_JSON);
    assert_non_null(strstr(web->last, "\r\nAccept-Encoding: identity\r\n"));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
