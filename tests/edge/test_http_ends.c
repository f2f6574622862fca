#include "edge/http_trial.h"

#include <unistd.h>

/* ---- replies that don't come whole ---- */

TEST(http_send__no_reply_in_time__is_timed_out_and_sent)
{
    web = web_start(serve_never, NULL);
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 3000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_TIMED_OUT);
    assert_true(answers->sent);
    assert_int_equal(answers->status, 0);
    assert_int_equal(web->requests, 1);
}

static bool serve_while_stopped(struct web *w, int fd, const char *request,
                                int number)
{
    (void)w;
    (void)request;
    (void)number;
    return web_say_while_stopped(fd, OK_JSON, 1200, 4500);
}

TEST(http_send__the_process_stands_still__the_reply_is_read)
{
    web = web_start(serve_while_stopped, NULL);
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_WHOLE);
    assert_int_equal(answers->status, 200);
    assert_int_equal(web->requests, 1);
}

TEST(http_send__a_get_stands_still__the_reply_is_read)
{
    web = web_start(serve_while_stopped, NULL);
    open_http(4, NULL);
    assert_true(get(url_of("/x"), 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_WHOLE);
    assert_int_equal(answers->status, 200);
    assert_int_equal(web->requests, 1);
}

static bool serve_first_never(struct web *w, int fd, const char *request,
                              int number)
{
    return strstr(request, "/never") ? serve_never(w, fd, request, number)
                                     : web_say(fd, OK_JSON);
}

TEST(http_send__several_in_time_and_not__each_ends_once)
{
    web = web_start(serve_first_never, NULL);
    open_http(2, NULL);
    for (int i = 0; i < 6; i++) {
        assert_true(i ? post(url_of("/quick"), "{}", 5000, &answers[i])
                      : post(url_of("/never"), "{}", 400, &answers[i]));
    }
    wait_for(6);
    assert_int_equal(answers[0].end, REPLY_TIMED_OUT);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].end, i ? REPLY_WHOLE : REPLY_TIMED_OUT);
    }
    assert_int_equal(http_under_way(http), 0);
}

TEST(http_send__close_without_a_byte__is_broken_and_sent)
{
    web = web_start(serve_nothing, NULL);
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_BROKEN);
    assert_true(answers->sent);
    assert_int_equal(web->requests, 1);
}

TEST(http_send__close_in_mid_body__is_broken)
{
    web = web_start(serve_text, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
                                "{\"code\":200,");
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_BROKEN);
    assert_true(answers->sent);
}

static bool serve_half_and_hold(struct web *w, int fd, const char *request,
                                int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, "HTTP/1.1 202 OK\r\nContent-Length: 99\r\n\r\n"
                "{\"task_id\":\"task_2\"");
    web_hold(fd);
    return false;
}

TEST(http_send__chunks_cut_short__is_broken)
{
    web = web_start(serve_text,
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "5\r\n{\"a\":\r\n5\r\n1");
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_BROKEN);
}

/* ---- evidence ---- */

#define ID_JSON "{\"data\":[{\"task_id\":\"task_1\"}]}"

/** A head with what is in the server's context, and behind a while, which parts
 * the reads, an id. The while is short: a machine that stands still in it for
 * as long as the rest is waited for ends it without. */
static bool serve_in_two(struct web *w, int fd, const char *request, int number)
{
    (void)request;
    (void)number;
    web_say(fd, "HTTP/1.1 200 OK\r\n");
    web_say(fd, w->context);
    web_sleep_ms(20);
    web_say(fd, ID_JSON);
    return false;
}

/** One POST to its end; how long that took. */
static int64_t posted_ms(int64_t timeout_ms)
{
    memset(answers, 0, sizeof answers);
    came = 0;
    const int64_t began_ms = loop_boot_ms(loop);
    assert_true(post(url_of("/x"), "{}", timeout_ms, answers));
    wait_for(1);
    return loop_boot_ms(loop) - began_ms;
}

#define REST_MS 2000 /* as long as the rest is waited for */

/** Not where the machine stood still for that long between the two. */
static bool ends_in_time(void)
{
    return posted_ms(5000) < REST_MS;
}

/** An id counts wherever it stands, and whatever else can't be read: in what
 * has come with it, and in what comes later. */
TEST(http_send__reply_that_cant_be_read__brings_what_there_is)
{
    static const char *const heads[] = {
        "Content-Length: x\r\n\r\n",
        "Content-Length: 36\r\nContent-Length: 37\r\n\r\n",
        "Content-Length: 99999999\r\n\r\n",
        "Content-Length: 99\r\n\r\n",
        "Transfer-Encoding: odd\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1z\r\n",
        "Transfer-Encoding: chunked\r\n\r\n22\r\n",
        "no header\r\n\r\n",
    };
    open_http(4, NULL);
    for (size_t i = 0; i < 2 * (sizeof heads / sizeof *heads); i++) {
        char reply[300];
        const char *head = heads[i / 2];
        snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\n%s%s", head, ID_JSON);
        web = i % 2 ? web_start(serve_in_two, (void *)(uintptr_t)head)
                    : web_start(serve_text, reply);
        bool in_time = false;
        for (int tries = 0; tries < 10 && !in_time; tries++) {
            in_time = ends_in_time();
        }
        assert_true(answers->end == REPLY_BROKEN ||
                    answers->end == REPLY_TOO_LARGE);
        assert_true(answers->sent && answers->why[0]);
        assert_int_equal(answers->status, 200);
        if (!strstr(answers->body, "\"task_id\":\"task_1\"")) {
            fail_msg("%s brings \"%s\"", head, answers->body);
        }
        web_stop(web);
        web = NULL;
    }
}

/** A line that is lost in the middle of an id leaves no other id. */
TEST(http_send__chunk_that_is_longer_than_told__brings_no_shorter_id)
{
    web = web_start(serve_text,
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "12\r\n{\"task_id\":\"task_123\",\n"
                    "\"status\":\"submitted\"}\r\n0\r\n\r\n");
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_BROKEN);
    assert_string_equal(answers->body, "{\"task_id\":\"task_1\n23\",\n"
                                       "\"status\":\"submitted\"}\r\n0"
                                       "\r\n\r\n");
}

/** Of a line that has no end, either: a relay said that there would be chunks.
 */
static bool serve_no_chunk(struct web *w, int fd, const char *request,
                           int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    web_say(fd, ID_JSON);
    web_hold(fd);
    return false;
}

TEST(http_send__no_chunk_and_no_end__brings_what_there_is)
{
    web = web_start(serve_no_chunk, NULL);
    open_http(4, NULL);
    /* On a busy machine it comes late. */
    assert_true(post(url_of("/x"), "{}", 3000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_TIMED_OUT);
    assert_int_equal(answers->status, 200);
    assert_string_equal(answers->body, ID_JSON);
}

static bool serve_broken_and_hold(struct web *w, int fd, const char *request,
                                  int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n");
    web_sleep_ms(20);
    web_say(fd, ID_JSON);
    web_hold(fd);
    return false;
}

/** What else comes is not waited for as long as a reply is. */
TEST(http_send__what_cant_be_read_has_no_end__is_over_soon)
{
    web = web_start(serve_broken_and_hold, NULL);
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 60000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_BROKEN);
    assert_string_equal(answers->body, ID_JSON);
}

#define STOPPED_MS 300 /* when it stands still, and for how long */
#define STANDS_MS 2500

static bool serve_the_rest_while_stopped(struct web *w, int fd,
                                         const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n");
    web_say_while_stopped(fd, ID_JSON, STOPPED_MS, STANDS_MS);
    return false;
}

/** Where the process stood still, what is there is read before it is over. On a
 * busy machine the stop may come when it is over already: that shows nothing.
 */
TEST(http_send__the_rest_comes_while_it_stands_still__is_read)
{
    bool in_time = false;
    web = web_start(serve_the_rest_while_stopped, NULL);
    open_http(4, NULL);
    for (int tries = 0; tries < 10 && !in_time; tries++) {
        in_time = posted_ms(60000) >= STOPPED_MS + STANDS_MS;
    }
    assert_true(in_time);
    assert_int_equal(answers->end, REPLY_BROKEN);
    assert_non_null(strstr(answers->body, "\"task_id\":\"task_1\""));
}

/** Characters were counted, not bytes. */
TEST(http_send__length_is_too_short__brings_the_rest)
{
    web = web_start(serve_text,
                    "HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n" ID_JSON);
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_WHOLE);
    assert_string_equal(answers->body, ID_JSON);
}

/** It may be the one that sells: what came until then is told. */
TEST(http_send__no_more_in_time__brings_what_there_is)
{
    web = web_start(serve_half_and_hold, NULL);
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 3000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_TIMED_OUT);
    assert_int_equal(answers->status, 202);
    assert_string_equal(answers->body, "{\"task_id\":\"task_2\"");
}

static bool serve_garbage(struct web *w, int fd, const char *request,
                          int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, "no TLS here\r\n\r\n");
    return false;
}

static bool serve_and_reset(struct web *w, int fd, const char *request,
                            int number)
{
    (void)w;
    (void)request;
    (void)number;
    /* It says so: one that doesn't may be used again (test_http_reuse). */
    web_say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                "Content-Length: 2\r\n\r\n{}");
    web_reset(fd);
    return false;
}

TEST(http_send__reply_and_then_a_reset__is_whole)
{
    web = web_start(serve_and_reset, NULL);
    open_http(8, NULL);
    for (int i = 0; i < 60; i++) {
        assert_true(post(url_of("/x"), "{}", 5000, &answers[i]));
    }
    web_sleep_ms(50); /* the resets come while nobody reads */
    wait_for(60);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(answers[i].end, REPLY_WHOLE);
        assert_string_equal(answers[i].body, "{}");
    }
    assert_int_equal(web->requests, 60);
}

TEST(http_send__no_http__is_broken)
{
    web = web_start(serve_garbage, NULL);
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_BROKEN);
    assert_true(answers->sent);
    assert_int_equal(web->requests, 1);
}

static bool serve_bytes(struct web *w, int fd, const char *request, int number)
{
    (void)number;
    bool chunked = strstr(request, " /chunked ") != NULL;
    size_t len = *(size_t *)w->context;
    char head[200];
    char *bytes = malloc(len);
    memset(bytes, 'a', len);
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\n%s%zx\r\n",
             chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "X-Hex: ", len);
    web_say(fd, head);
    if (!chunked) {
        snprintf(head, sizeof head, "Content-Length: %zu\r\n\r\n", len);
        web_say(fd, head);
    }
    web_send(fd, bytes, len);
    web_say(fd, chunked ? "\r\n0\r\n\r\n" : "");
    free(bytes);
    return true;
}

TEST(http_send__body_at_and_over_the_limit__is_whole_and_too_large)
{
    static size_t len = 1 << 20;
    web = web_start(serve_bytes, &len);
    open_http(4, NULL);
    assert_true(get(url_of("/x"), 5000, &answers[0]));
    assert_true(get(url_of("/chunked"), 5000, &answers[1]));
    wait_for(2);
    len++;
    assert_true(get(url_of("/x"), 5000, &answers[2]));
    assert_true(get(url_of("/chunked"), 5000, &answers[3]));
    wait_for(4);
    assert_int_equal(answers[0].end, REPLY_WHOLE);
    assert_int_equal(answers[0].body_bytes, 1 << 20);
    assert_int_equal(answers[1].end, REPLY_WHOLE);
    assert_int_equal(answers[1].body_bytes, 1 << 20);
    assert_int_equal(answers[2].end, REPLY_TOO_LARGE);
    assert_int_equal(answers[3].end, REPLY_TOO_LARGE);
    assert_true(answers[2].sent);
}

static bool serve_headers(struct web *w, int fd, const char *request,
                          int number)
{
    (void)w;
    (void)request;
    (void)number;
    char line[128];
    web_say(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 100000; i++) {
        snprintf(line, sizeof line, "X-Flood-%d: %064d\r\n", i, i);
        if (!web_say(fd, line)) {
            return false;
        }
    }
    web_say(fd, "Content-Length: 0\r\n\r\n");
    return false;
}

TEST(http_send__flood_of_headers__is_broken)
{
    web = web_start(serve_headers, NULL);
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_BROKEN);
    assert_true(answers->sent);
    assert_int_equal(web->requests, 1);
}

TEST(http_send__after_a_broken_one__starts_afresh)
{
    web = web_start(serve_text, "HTTP/1.1 200 OK\r\nRetry-After: 9\r\n"
                                "Idempotency-Replayed: true\r\n"
                                "Content-Type: a/b\r\n"
                                "Content-Length: 100\r\n\r\nrest");
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 5000, &answers[0]));
    wait_for(1);
    web->context = "HTTP/1.1 204 No\r\n\r\n";
    assert_true(get(url_of("/x"), 5000, &answers[1]));
    wait_for(2);
    assert_int_equal(answers[1].end, REPLY_WHOLE);
    assert_int_equal(answers[1].status, 204);
    assert_int_equal(answers[1].body_bytes, 0);
    assert_string_equal(answers[1].retry_after, "");
    assert_string_equal(answers[1].content_type, "");
    assert_false(answers[1].replayed);
    assert_non_null(strstr(web->last, "GET /x "));
    assert_null(strcasestr(web->last, "Idempotency-Key"));
}

/* ---- many ---- */

static bool serve_in_order(struct web *w, int fd, const char *request,
                           int number)
{
    char path[32];
    snprintf(path, sizeof path, " /%d ", number - 1);
    if (!strstr(request, path)) {
        atomic_fetch_add((atomic_int *)w->context, 1);
    }
    web_sleep_ms(2);
    return web_say(fd, OK_JSON);
}

TEST(http_send__more_than_at_once__go_in_order)
{
    static atomic_int wrong;
    web = web_start(serve_in_order, &wrong);
    open_http(1, NULL);
    for (int i = 0; i < 20; i++) {
        char path[16];
        snprintf(path, sizeof path, "/%d", i);
        assert_true(get(url_of(path), 5000, &answers[i]));
    }
    assert_int_equal(http_under_way(http), 20);
    wait_for(20);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].order, i + 1);
        assert_int_equal(answers[i].end, REPLY_WHOLE);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(http_under_way(http), 0);
}

static bool serve_first_late(struct web *w, int fd, const char *request,
                             int number)
{
    (void)w;
    (void)request;
    if (number == 1) {
        web_sleep_ms(3000);
    }
    return web_say(fd, OK_JSON);
}

TEST(http_send__waits_for_a_slot__its_time_does_not_run)
{
    web = web_start(serve_first_late, NULL);
    open_http(1, NULL);
    assert_true(get(url_of("/slow"), 20000, &answers[0]));
    assert_true(get(url_of("/quick"), 2000, &answers[1]));
    wait_for(2);
    assert_int_equal(answers[1].end, REPLY_WHOLE);
}

TEST(http_send__hundreds_at_once__over_few_connections)
{
    web = web_start(serve_ok, NULL);
    open_http(8, NULL);
    static struct answer many[500];
    memset(many, 0, sizeof many);
    for (int i = 0; i < 500; i++) {
        assert_true(get(url_of("/x"), 5000, &many[i]));
    }
    wait_for(500);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(many[i].calls, 1);
        assert_int_equal(many[i].end, REPLY_WHOLE);
    }
    assert_in_range(web->connections, 1, 100); /* too old after 2 s */
}

static int chain_left;

static void send_next(void *context, const struct reply *reply)
{
    struct err err = {0};
    assert_int_equal(reply->end, REPLY_WHOLE);
    if (--chain_left == 0) {
        loop_stop(loop);
        return;
    }
    const struct exchange exchange = {.method = EXCHANGE_GET,
                                      .url = str_of(url_of("/x"))};
    assert_true(
        http_send(http, &exchange, 5000, NULL, send_next, context, &err));
}

TEST(http_send__from_on_reply__goes_on)
{
    struct err err = {0};
    web = web_start(serve_ok, NULL);
    open_http(1, NULL);
    chain_left = 50;
    const struct exchange exchange = {.method = EXCHANGE_GET,
                                      .url = str_of(url_of("/x"))};
    assert_true(http_send(http, &exchange, 5000, NULL, send_next, NULL, &err));
    loop_run(loop);
    assert_int_equal(chain_left, 0);
}

TEST(http_close__in_mid_flight__ends_each_once)
{
    web = web_start(serve_never, NULL);
    open_http(4, NULL);
    for (int i = 0; i < 10; i++) {
        assert_true(post(url_of("/x"), "{}", 5000, &answers[i]));
    }
    for (int i = 0; i < 1000 && web->requests < 4; i++) {
        struct loop_timer *soon = loop_timer_new(loop, stop, NULL);
        loop_timer_set(soon, 5);
        loop_run(loop);
        loop_timer_free(soon);
    }
    assert_int_equal(web->requests, 4);
    http_close(http);
    http = NULL;
    assert_int_equal(came, 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].end, REPLY_CANCELLED);
        assert_int_equal(answers[i].sent, i < 4);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
