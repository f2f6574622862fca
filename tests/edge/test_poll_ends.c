/* tests/run: raced */
/* wraps: loop_boot_ms */
#include "edge/poll_trial.h"

/* HTTP/1.1: connections that are kept, that die, that keep one waiting. */

static int64_t later_ms; /* the clock of the door goes ahead by so much */

int64_t __real_loop_boot_ms(const struct loop *l);
int64_t __wrap_loop_boot_ms(const struct loop *l);

int64_t __wrap_loop_boot_ms(const struct loop *l)
{
    return __real_loop_boot_ms(l) + later_ms;
}

static int ends_teardown(void **state)
{
    later_ms = 0;
    return poll_teardown(state);
}

/* ---- kept ---- */

#define ENDS_TEST(name) TEST_CASE_WITH(name, setup, ends_teardown)

/** The server has closed it meanwhile, after the request came: nothing is lost,
 * and a GET is asked once more. */
ENDS_TEST(a_kept_connection_that_dies__loses_nothing)
{
    static atomic_int others;
    web = web_start(serve_then_die, &others);
    open_poller(1, NULL);
    ask_well(url_of("/warm"), 1);
    const struct answer *answer = asked(url_of("/x"));
    assert_int_equal(answer->end, REPLY_BROKEN); /* a fresh one does it, too */
    assert_true(answer->sent);
    assert_int_equal(others, 2);
}

static bool serve_one_each(struct web *w, int fd, const char *request,
                           int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, OK_JSON);
    return false;
}

ENDS_TEST(connections_that_close_after_each__lose_nothing)
{
    web = web_start(serve_one_each, NULL);
    open_poller(4, NULL);
    for (int i = 0; i < 20; i++) {
        ask_well(url_of("/x"), 3);
    }
    assert_true(web->connections >= 60);
}

/** All that stood idle are as dead as the first that is tried. */
ENDS_TEST(idle_connections_that_are_dead__cost_one_question_each)
{
    web = web_start(serve_ok, NULL);
    open_poller(8, NULL);
    for (int i = 0; i < 3; i++) {
        ask_well(url_of("/x"), ANSWERS_MAX);
    }
    /* One that is still dialed would be no idle one, nor is one that nobody
     * has used before the door has looked, which it does each second. */
    turn_for(1200);
    pthread_mutex_lock(&web->lock);
    for (int i = 0; i < web->len; i++) {
        if (web->fds[i] >= 0) {
            shutdown(web->fds[i], SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&web->lock);
    ask_well(url_of("/x"), 10);
}

ENDS_TEST(kept_too_long__is_not_used)
{
    web = web_start(serve_ok, NULL);
    open_poller(4, NULL);
    ask_well(url_of("/x"), 1);
    later_ms += 45000;
    ask_well(url_of("/x"), 1);
    assert_int_equal(web->connections, 1);
    later_ms += 51000;
    ask_well(url_of("/x"), 1);
    assert_int_equal(web->connections, 2);
    for (int i = 0; i < 15; i++) {
        later_ms += 42000;
        ask_well(url_of("/x"), 1);
    }
    assert_int_equal(web->connections, 3);
}

/* ---- as many as round trips need ---- */

ENDS_TEST(hundreds_at_once__over_few_connections)
{
    static struct answer many[500];
    memset(many, 0, sizeof many);
    web = web_start(serve_ok, NULL);
    open_poller(8, NULL);
    for (int i = 0; i < 500; i++) {
        assert_true(ask(url_of("/x"), 5000, &many[i]));
    }
    assert_int_equal(poller_under_way(poller), 500);
    wait_for(500);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(many[i].calls, 1);
        assert_int_equal(many[i].end, REPLY_WHOLE);
    }
    assert_int_equal(poller_under_way(poller), 0);
    assert_in_range(web->connections, 1, 8);
    assert_int_equal(web->requests, 500);
}

static bool serve_late(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_sleep_ms(30);
    return web_say(fd, OK_JSON);
}

ENDS_TEST(a_long_way__takes_more_connections_up_to_the_most)
{
    web = web_start(serve_late, NULL);
    open_poller(5, NULL);
    for (int i = 0; i < 4; i++) {
        ask_well(url_of("/x"), 40);
    }
    assert_int_equal(web->connections, 5);
}

ENDS_TEST(one_at_a_time__takes_one_connection)
{
    web = web_start(serve_late, NULL);
    open_poller(5, NULL);
    for (int i = 0; i < 5; i++) {
        ask_well(url_of("/x"), 1);
    }
    assert_int_equal(web->connections, 1);
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

ENDS_TEST(waits_for_a_connection__its_time_does_not_run)
{
    web = web_start(serve_first_late, NULL);
    open_poller(1, NULL);
    assert_true(ask(url_of("/slow"), 20000, &answers[0]));
    assert_true(ask(url_of("/quick"), 2000, &answers[1]));
    wait_for(2);
    assert_int_equal(answers[1].end, REPLY_WHOLE);
    assert_int_equal(web->connections, 1);
}

/** For ever it does not. */
ENDS_TEST(no_connection_is_free__it_ends)
{
    web = web_start(serve_never, NULL);
    open_poller(1, NULL);
    assert_true(ask(url_of("/x"), 900000, &answers[0]));
    for (int i = 0; i < LIMIT_MS / 5 && web->requests == 0; i++) {
        turn_for(5); /* else it waits for a connection, too */
    }
    assert_true(ask(url_of("/x"), 900000, &answers[1]));
    turn_for(50);
    later_ms += 61000;
    wait_for(1);
    assert_int_equal(answers[0].calls, 0);
    assert_int_equal(answers[1].end, REPLY_TIMED_OUT);
    assert_false(answers[1].sent);
    assert_non_null(strstr(answers[1].why, "60 s"));
}

/* ---- out of time ---- */

static bool serve_slow_head(struct web *w, int fd, const char *request,
                            int number)
{
    (void)request;
    (void)number;
    web_say(fd, "HTTP/1.1 200 OK\r\n");
    while (!w->stopping && web_say(fd, "X: y\r\n")) {
        web_sleep_ms(20);
    }
    return false;
}

ENDS_TEST(no_end_in_time__is_timed_out)
{
    web = web_start(serve_slow_head, NULL);
    open_poller(4, NULL);
    /* On a busy machine it is sent late. */
    assert_true(ask(url_of("/x"), 3000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_TIMED_OUT);
    assert_true(answers->sent);
    web->serve = serve_ok; /* and the next has a connection of its own */
    ask_well(url_of("/x"), 1);
    assert_int_equal(web->connections, 2);
}

static bool serve_stopped(struct web *w, int fd, const char *request,
                          int number)
{
    (void)w;
    (void)request;
    return number == 1 ? web_say(fd, OK_JSON)
                       : web_say_while_stopped(fd, OK_JSON, 50, 3500);
}

ENDS_TEST(the_process_stands_still__the_reply_is_read)
{
    web = web_start(serve_stopped, NULL);
    open_poller(4, NULL);
    ask_well(url_of("/x"), 1);
    memset(answers, 0, sizeof answers);
    came = 0;
    assert_true(ask(url_of("/x"), 3000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_WHOLE);
}

static bool serve_flood(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_say(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 100000; i++) {
        if (!web_say(fd, "X-Flood: 0123456789012345678901234567890123\r\n")) {
            return false;
        }
    }
    return false;
}

ENDS_TEST(a_flood_of_headers__is_broken)
{
    web = web_start(serve_flood, NULL);
    open_poller(4, NULL);
    const struct answer *answer = asked(url_of("/x"));
    assert_int_equal(answer->end, REPLY_BROKEN);
    assert_non_null(strstr(answer->why, "64 KiB"));
    assert_int_equal(web->requests, 1);
}

static bool serve_and_reset(struct web *w, int fd, const char *request,
                            int number)
{
    serve_ok(w, fd, request, number);
    web_reset(fd);
    return false;
}

ENDS_TEST(a_reply_and_then_a_reset__is_whole)
{
    web = web_start(serve_and_reset, NULL);
    open_poller(8, NULL);
    for (int i = 0; i < 60; i++) {
        assert_true(ask(url_of("/x"), 5000, &answers[i]));
    }
    web_sleep_ms(50);
    wait_for(60);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].end, REPLY_WHOLE);
    }
}

static bool serve_reply_and_more(struct web *w, int fd, const char *request,
                                 int number)
{
    (void)w;
    (void)request;
    (void)number;
    return web_say(fd, OK_JSON OK_JSON);
}

/** What stands behind a reply is not the next one's. */
ENDS_TEST(bytes_that_nobody_asked_for__cost_the_connection)
{
    web = web_start(serve_reply_and_more, NULL);
    open_poller(1, NULL);
    ask_well(url_of("/x"), 1);
    turn_for(20);
    ask_well(url_of("/x"), 1);
    assert_int_equal(web->connections, 2);
    assert_int_equal(web->requests, 2);
}

/* ---- closing, and asking from within ---- */

ENDS_TEST(poller_close__in_mid_flight__ends_each_once)
{
    web = web_start(serve_never, NULL);
    open_poller(2, NULL);
    for (int i = 0; i < 10; i++) {
        assert_true(ask(url_of("/x"), 60000, &answers[i]));
    }
    for (int i = 0; i < LIMIT_MS / 5 && web->requests == 0; i++) {
        turn_for(5);
    }
    close_poller();
    int sent = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_int_equal(answers[i].end, REPLY_CANCELLED);
        sent += answers[i].sent;
    }
    assert_in_range(sent, 1, 2);
}

static int rounds;

static void ask_again(void *context, const struct reply *reply)
{
    struct err err = {0};
    const struct exchange exchange = {.url = str_of(url_of("/x"))};
    assert_int_equal(reply->end, REPLY_WHOLE);
    if (++rounds == 200) {
        loop_stop(loop);
        return;
    }
    assert_true(
        poller_send(poller, &exchange, 5000, NULL, ask_again, context, &err));
}

ENDS_TEST(poller_send__from_on_reply__goes_on)
{
    struct err err = {0};
    web = web_start(serve_ok, NULL);
    open_poller(2, NULL);
    const struct exchange exchange = {.url = str_of(url_of("/x"))};
    rounds = 0;
    assert_true(
        poller_send(poller, &exchange, 5000, NULL, ask_again, NULL, &err));
    loop_run(loop);
    assert_int_equal(rounds, 200);
    assert_int_equal(web->connections, 1);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
