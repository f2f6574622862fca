/* wraps: loop_boot_ms */
#include "edge/http_trial.h"
#include "edge/line.h"
#include "edge/tls.h"

/*
 * Connections that live long: over HTTP/2 one carries everything, so one that
 * is dead must not be asked for ever, nor one be asked for ever.
 */

static int64_t later_ms; /* the clock of the door goes ahead by so much */

int64_t __real_loop_boot_ms(const struct loop *l);
int64_t __wrap_loop_boot_ms(const struct loop *l);

int64_t __wrap_loop_boot_ms(const struct loop *l)
{
    return __real_loop_boot_ms(l) + later_ms;
}

static void turn_for(int64_t ms)
{
    struct loop_timer *timer = loop_timer_new(loop, stop, NULL);
    loop_timer_set(timer, ms);
    loop_run(loop);
    loop_timer_free(timer);
}

static void get_well(const char *url, int n)
{
    memset(answers, 0, sizeof answers);
    came = 0;
    for (int i = 0; i < n; i++) {
        assert_true(get(url, 10000, &answers[i]));
    }
    wait_for(n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(answers[i].end, REPLY_WHOLE);
        assert_int_equal(answers[i].status, 200);
    }
}

/** Asks on and on, so that the connection is never without a stream, until one
 * answer is whole; false: none of so many was. */
static bool ask_until_whole(const char *url, int64_t timeout_ms)
{
    memset(answers, 0, sizeof answers);
    came = 0;
    awaited = -1;
    for (int i = 0; i < ANSWERS_MAX - 1; i++) {
        assert_true(get(url, timeout_ms, &answers[i]));
        turn_for(timeout_ms / 5);
        for (int k = 0; k <= i; k++) {
            if (answers[k].calls && answers[k].end == REPLY_WHOLE) {
                wait_for(i + 1);
                return true;
            }
        }
    }
    wait_for(ANSWERS_MAX - 1);
    return false;
}

TEST(http_send__connection_is_swallowed__goes_on_over_another)
{
    struct tls tls = {0};
    char url[64];
    const int port = web_free_port();
    assert_true(tls_start_nginx(&tls, port));
    struct line *line = line_start(port);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", line->port);
    open_http(false, 4, 32, tls.cert);
    get_well(url, 1);
    get_well(url, 8);
    const int before = line->len;
    line_swallow(line);
    const bool whole = ask_until_whole(url, 1000);
    get_well(url, 8);
    const int after = line->len;
    http_close(http);
    http = NULL;
    line_stop(line);
    tls_stop(&tls);
    assert_int_equal(before, 1); /* it is HTTP/2: one for all */
    assert_true(whole);
    assert_true(after > before);
}

static bool serve_in_turn(struct web *w, int fd, const char *request,
                          int number)
{
    (void)w;
    (void)request;
    (void)number;
    return web_say(fd, OK_JSON);
}

/** Sockets of ours to that port, each of which the kernel gives up when what
 * it sent is not acknowledged for a minute. */
static int given_up_in_a_minute(int port)
{
    int found = 0;
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer;
        socklen_t len = sizeof peer;
        unsigned ms = 0;
        if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0 ||
            peer.sin_family != AF_INET || ntohs(peer.sin_port) != port) {
            continue;
        }
        len = sizeof ms;
        assert_int_equal(
            getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &len), 0);
        assert_int_equal(ms, 60000);
        found++;
    }
    return found;
}

TEST(http_send__nobody_acknowledges__ends_in_a_minute)
{
    web = web_start(serve_in_turn, NULL);
    open_http(false, 4, 4, NULL);
    get_well(url_of("/"), 1);
    assert_int_equal(given_up_in_a_minute(web->port), 1);
}

TEST(http_send__kept_for_ten_minutes__is_not_kept_on)
{
    web = web_start(serve_in_turn, NULL);
    open_http(false, 4, 4, NULL);
    get_well(url_of("/"), 1);
    later_ms = 599000;
    get_well(url_of("/"), 1);
    assert_int_equal(web->connections, 1);
    later_ms = 601000;
    get_well(url_of("/"), 1);
    assert_int_equal(web->connections, 2);
    get_well(url_of("/"), 1);
    assert_int_equal(web->connections, 2);
    later_ms = 0;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
