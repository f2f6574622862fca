/* wraps: loop_boot_ms */
#include "edge/http_trial.h"
#include "edge/line.h"
#include "edge/tls.h"

/*
 * Who sends once uses a connection again while it is warm. Whatever the server
 * does with it, one request leaves once, and what left is never called unsent.
 */

static int64_t later_ms; /* the clock of the door goes ahead by so much */

int64_t __real_loop_boot_ms(const struct loop *l);
int64_t __wrap_loop_boot_ms(const struct loop *l);

int64_t __wrap_loop_boot_ms(const struct loop *l)
{
    return __real_loop_boot_ms(l) + later_ms;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void turn_for(int64_t ms)
{
    struct loop_timer *timer = loop_timer_new(loop, stop, NULL);
    loop_timer_set(timer, ms);
    loop_run(loop);
    loop_timer_free(timer);
}

static int asked; /* times that may_send() was */

static bool may(void *context)
{
    (void)context;
    asked++;
    return true;
}

static bool may_not(void *context)
{
    (void)context;
    asked++;
    return false;
}

#define SILENT_MS 3000 /* then an answer is awaited no more */

/** One POST to its end. */
static const struct answer *pay_within(int64_t timeout_ms, const char *url,
                                       bool (*may_send)(void *))
{
    const struct exchange exchange = {
        .method = EXCHANGE_POST,
        .url = str_of(url),
        .idempotency_key = STR("key-1"),
        .body = STR("{}"),
        .bearer = STR("secret"),
    };
    memset(answers, 0, sizeof answers);
    came = 0;
    asked = 0;
    assert_true(send_it(&exchange, timeout_ms, may_send, answers));
    wait_for(1);
    assert_int_equal(answers->calls, 1);
    return answers;
}

static const struct answer *pay(const char *url, bool (*may_send)(void *))
{
    return pay_within(20000, url, may_send);
}

static void pay_well(const char *path)
{
    const struct answer *answer = pay(url_of(path), may);
    assert_int_equal(answer->end, REPLY_WHOLE);
    assert_int_equal(answer->status, 200);
    assert_int_equal(asked, 1);
}

/** Until a connection was used again: on a busy machine it may take long. */
static void warm(void)
{
    int64_t answered_ms = INT64_MIN / 2;
    for (int i = 0; i < 100; i++) {
        const int before = web->connections;
        const int64_t began_ms = now_ms();
        pay_well("/warm");
        if (web->connections == before) {
            return;
        }
        assert_true(now_ms() - answered_ms > 1000);
        answered_ms = began_ms; /* or a little later */
    }
    fail_msg("no connection is used again");
}

static int open_fds(void)
{
    int open = 0;
    pthread_mutex_lock(&web->lock);
    for (int i = 0; i < web->len; i++) {
        open += web->fds[i] >= 0;
    }
    pthread_mutex_unlock(&web->lock);
    return open;
}

/* ---- what the server does with a second request ---- */

enum way {
    WAY_ANSWER,
    WAY_CLOSE,
    WAY_RESET,
    WAY_HALF_LINE,
    WAY_HALF_HEAD,
    WAY_HALF_BODY,
    WAY_GONE, /* nobody listens any more */
    WAY_SILENT,
    WAYS,
};

struct script {
    enum way way;
    atomic_int paid;  /* requests other than the warm ones */
    atomic_int pairs; /* requests that wait for another, so far */
};

/** With all that must not be taken for the next one's. */
#define WARM                                                                   \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"                    \
    "Retry-After: 7\r\nIdempotency-Replayed: true\r\n"                         \
    "Content-Length: 15\r\n\r\n{\"task\":\"warm\"}"

/** Answered when another is there too, over another connection. */
static bool serve_pair(struct script *script, int fd)
{
    const int mine = ++script->pairs;
    for (int i = 0; i < 5000 && mine % 2 && script->pairs == mine; i++) {
        web_sleep_ms(1);
    }
    return web_say(fd, WARM);
}

static bool serve_script(struct web *w, int fd, const char *request, int number)
{
    struct script *script = w->context;
    (void)number;
    if (strstr(request, " /warm ")) {
        return web_say(fd, WARM);
    }
    if (strstr(request, " /pair ")) {
        return serve_pair(script, fd);
    }
    script->paid++;
    switch (script->way) {
    case WAY_ANSWER:
        return web_say(fd, OK_JSON);
    case WAY_RESET:
        web_reset(fd);
        return false;
    case WAY_HALF_LINE:
        web_say(fd, "HTTP/1.1 20");
        return false;
    case WAY_HALF_HEAD:
        web_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n");
        return false;
    case WAY_HALF_BODY:
        web_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"ta");
        return false;
    case WAY_GONE:
        shutdown(w->fd, SHUT_RDWR);
        return false;
    case WAY_SILENT:
        web_hold(fd);
        return false;
    case WAY_CLOSE:
    case WAYS:
        break;
    }
    return false;
}

TEST(post__over_a_connection_that_dies__is_sent_once)
{
    for (enum way way = WAY_CLOSE; way < WAYS; way++) {
        static struct script script;
        script = (struct script){.way = way};
        print_message("way %d\n", (int)way);
        web = web_start(serve_script, &script);
        open_http(4, NULL);
        warm();
        const struct answer *answer = pay_within(
            way == WAY_SILENT ? SILENT_MS : 20000, url_of("/pay"), may);
        assert_int_equal(answer->end,
                         way == WAY_SILENT ? REPLY_TIMED_OUT : REPLY_BROKEN);
        assert_true(answer->sent);
        assert_true(answer->why[0]);
        assert_int_equal(script.paid, 1);
        assert_int_equal(asked, 1);
        /* Nothing of the answer before it is its own. */
        const bool said = way == WAY_HALF_HEAD || way == WAY_HALF_BODY;
        assert_int_equal(answer->status, said ? 200 : 0);
        assert_int_equal(answer->body_bytes, way == WAY_HALF_BODY ? 4 : 0);
        assert_string_equal(answer->retry_after, "");
        assert_string_equal(answer->content_type, "");
        assert_false(answer->replayed);
        turn_for(50); /* what may still be in mind */
        assert_int_equal(script.paid, 1);
        assert_int_equal(http_under_way(http), 0);
        http_close(http);
        http = NULL;
        web_stop(web);
        web = NULL;
        assert_int_equal(script.paid, 1);
    }
}

TEST(post__after_one_died__has_a_connection_of_its_own)
{
    static struct script script;
    script = (struct script){.way = WAY_CLOSE};
    web = web_start(serve_script, &script);
    open_http(4, NULL);
    do {
        warm();
        assert_int_equal(pay(url_of("/pay"), may)->end, REPLY_BROKEN);
    } while (!strstr(answers->why, "had answered before")); /* 2 s are over */
    script.way = WAY_ANSWER;
    for (int i = 0; i < 5; i++) {
        const int before = web->connections;
        pay_well("/pay");
        assert_int_equal(web->connections, before + 1);
    }
    later_ms = 601000;
    warm();
    later_ms = 0;
}

/** Also where others stand idle still. */
TEST(post__after_half_an_answer__is_over_no_idle_one)
{
    static struct script script;
    script = (struct script){.way = WAY_HALF_BODY};
    web = web_start(serve_script, &script);
    open_http(4, NULL);
    int before;
    do {
        memset(answers, 0, sizeof answers);
        came = 0;
        for (int i = 0; i < 2; i++) {
            assert_true(post(url_of("/pair"), "{}", 10000, &answers[i]));
        }
        wait_for(2);
        before = web->connections;
        assert_int_equal(pay(url_of("/pay"), may)->end, REPLY_BROKEN);
    } while (web->connections != before); /* 2 s are over */
    pay_well("/warm");
    assert_int_equal(web->connections, before + 1);
}

TEST(post__over_one_that_dies_fresh__goes_on_using_others)
{
    static struct script script;
    script = (struct script){.way = WAY_CLOSE};
    web = web_start(serve_script, &script);
    open_http(4, NULL);
    assert_int_equal(pay(url_of("/pay"), may)->end, REPLY_BROKEN);
    assert_true(answers->sent);
    warm();
}

/* ---- the look before it is used again ---- */

static bool serve_and_close(struct web *w, int fd, const char *request,
                            int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, OK_JSON);
    return false;
}

static atomic_int twice; /* times that serve_twice() has said all */

static bool serve_one_reset(struct web *w, int fd, const char *request,
                            int number)
{
    serve_and_close(w, fd, request, number);
    web_sleep_ms(10); /* the answer is read first */
    web_reset(fd);
    return false;
}

/** Another answer to the same request, as a proxy says it before it closes. */
static bool serve_twice(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, OK_JSON);
    web_sleep_ms(10);
    web_say(fd, "HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n");
    twice++;
    return true;
}

static bool serve_twice_at_once(struct web *w, int fd, const char *request,
                                int number)
{
    (void)w;
    (void)request;
    (void)number;
    return web_say(fd, OK_JSON "HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n");
}

static bool serve_the_last(struct web *w, int fd, const char *request,
                           int number)
{
    (void)w;
    (void)request;
    (void)number;
    return web_say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                       "Content-Length: 2\r\n\r\n{}");
}

static bool has_done(web_fn *serve, int requests)
{
    if (serve == serve_twice) {
        return twice == requests;
    }
    return serve == serve_twice_at_once || open_fds() == 0;
}

TEST(post__where_the_look_finds_something__is_fresh)
{
    static web_fn *const ways[] = {serve_and_close, serve_one_reset,
                                   serve_twice, serve_twice_at_once,
                                   serve_the_last};
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        print_message("way %zu\n", way);
        web = web_start(ways[way], NULL);
        open_http(4, NULL);
        for (int i = 0; i < 8; i++) {
            pay_well("/pay");
            assert_int_equal(web->connections, i + 1);

            for (int k = 0; k < 1000 && !has_done(ways[way], i + 1); k++) {
                turn_for(5);
            }
            assert_true(has_done(ways[way], i + 1));
            turn_for(20); /* the loopback brings it */
        }
        http_close(http);
        http = NULL;
        web_stop(web);
        web = NULL;
    }
}

/** The same where the loop has not turned since: all that tells is the look. */
TEST(post__right_after_it_was_closed__is_fresh)
{
    static web_fn *const ways[] = {serve_and_close, serve_one_reset,
                                   serve_twice};
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        print_message("way %zu\n", way);
        twice = 0;
        web = web_start(ways[way], NULL);
        open_http(4, NULL);
        for (int i = 0; i < 8; i++) {
            pay_well("/pay");
            assert_int_equal(web->connections, i + 1);
            for (int k = 0; k < 1000 && !has_done(ways[way], i + 1); k++) {
                web_sleep_ms(5);
            }
            assert_true(has_done(ways[way], i + 1));
            web_sleep_ms(20); /* the loopback brings it */
        }
        http_close(http);
        http = NULL;
        web_stop(web);
        web = NULL;
    }
}

TEST(post__gate_shut__leaves_nothing_on_a_warm_one)
{
    static struct script script;
    script = (struct script){.way = WAY_ANSWER};
    web = web_start(serve_script, &script);
    open_http(4, NULL);
    warm();
    const struct answer *answer = pay(url_of("/pay"), may_not);
    assert_int_equal(answer->end, REPLY_CANCELLED);
    assert_false(answer->sent);
    assert_int_equal(answer->status, 0);
    assert_int_equal(script.paid, 0);
    pay_well("/pay");
    assert_int_equal(script.paid, 1);
}

/* ---- how long ---- */

TEST(post__two_seconds_later__is_fresh)
{
    static struct script script;
    script = (struct script){.way = WAY_ANSWER};
    web = web_start(serve_script, &script);
    open_http(4, NULL);
    warm();
    const int before = web->connections;
    later_ms = 2000;
    pay_well("/pay");
    later_ms = 0;
    assert_int_equal(web->connections, before + 1);
}

TEST(connection__unused__is_closed)
{
    static struct script script;
    script = (struct script){.way = WAY_ANSWER};
    web = web_start(serve_script, &script);
    open_http(4, NULL);
    warm();
    const int64_t began_ms = now_ms();
    while (open_fds() > 0 && now_ms() - began_ms < LIMIT_MS) {
        turn_for(20);
    }
    assert_int_equal(open_fds(), 0);
}

/** One of two is used all the time: the other is too old. */
TEST(post__beside_a_busy_one__is_over_no_old_one)
{
    static struct script script;
    script = (struct script){.way = WAY_ANSWER};
    web = web_start(serve_script, &script);
    open_http(4, NULL);
    for (int i = 0; i < 2; i++) {
        assert_true(post(url_of("/pair"), "{}", 10000, &answers[i]));
    }
    wait_for(2);
    assert_int_equal(web->connections, 2);
    const int64_t began_ms = now_ms();
    while (now_ms() - began_ms < 2300) {
        pay_well("/warm");
        turn_for(100);
    }
    came = 0;
    for (int i = 0; i < 2; i++) {
        assert_true(post(url_of("/pair"), "{}", 10000, &answers[i]));
    }
    wait_for(2);
    assert_true(web->connections >= 3);
}

static int64_t going_ms;

/** In the course of an exchange: its connection isn't idle. */
static bool may_as_time_goes(void *context)
{
    (void)context;
    later_ms += going_ms;
    return true;
}

static void pay_for(int64_t ms)
{
    const struct exchange exchange = {.method = EXCHANGE_POST,
                                      .url = str_of(url_of("/pay")),
                                      .body = STR("{}")};
    memset(answers, 0, sizeof answers);
    came = 0;
    going_ms = ms;
    assert_true(send_it(&exchange, 3600000, may_as_time_goes, answers));
    wait_for(1);
    assert_int_equal(answers->status, 200);
}

/** Whether one connection was asked for ten minutes: on a busy machine two
 * seconds may be over between two questions. */
static bool was_asked_for_long(void)
{
    later_ms += 2000; /* one that a try has asked for 31 s is no beginning */
    warm();
    const int before = web->connections;
    pay_for(570000);
    warm();
    pay_for(31000);
    return web->connections == before;
}

/** Names move, and whoever is behind one address changes. */
TEST(connection__asked_for_ten_minutes__is_not_asked_on)
{
    static struct script script;
    bool asked_for_long = false;
    script = (struct script){.way = WAY_ANSWER};
    web = web_start(serve_script, &script);
    open_http(4, NULL);
    for (int i = 0; i < 10 && !asked_for_long; i++) {
        asked_for_long = was_asked_for_long();
    }
    assert_true(asked_for_long);
    const int before = web->connections;
    pay_well("/pay");
    assert_int_equal(web->connections, before + 1);
    later_ms = 0;
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

/** What waits for a connection shows nobody a doubt: it goes over another. */
TEST(post__more_at_once_than_answered__have_connections_at_once)
{
    static struct script script;
    script = (struct script){.way = WAY_ANSWER};
    web = web_start(serve_script, &script);
    open_http(8, NULL);
    warm();
    memset(answers, 0, sizeof answers);
    came = 0;
    for (int i = 0; i < 8; i++) {
        assert_true(post(url_of("/pair"), "{}", 10000, &answers[i]));
    }
    wait_for(8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(answers[i].status, 200);
    }
    assert_int_equal(script.pairs, 8);
}

TEST(post__nobody_acknowledges__ends_in_a_minute)
{
    static struct script script;
    script = (struct script){.way = WAY_ANSWER};
    web = web_start(serve_script, &script);
    open_http(4, NULL);
    pay_well("/pay");
    assert_int_equal(given_up_in_a_minute(web->port), 1);
}

TEST(post__over_tls__shakes_hands_once)
{
    struct tls tls = {0};
    char url[64];
    const int port = web_free_port();
    assert_true(tls_start_nginx(&tls, port, ""));
    struct line *line = line_start(port);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", line->port);
    open_http(4, tls.cert);
    bool again = false;
    for (int i = 0; i < 20 && !again; i++) {
        const int before = line->len;
        assert_int_equal(pay(url, may)->status, 200);
        again = line->len == before;
    }
    http_close(http);
    http = NULL;
    line_stop(line);
    tls_stop(&tls);
    assert_true(again);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
