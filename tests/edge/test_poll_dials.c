/* wraps: loop_boot_ms getaddrinfo */
#include "edge/poll_trial.h"

#include "base/proxy.h"
#include "edge/poll/names.h"

#include <errno.h>
#include <netdb.h>

/*
 * Which address is dialed, and when another dial is made, of a host with two
 * addresses, A and B. What is plain goes through a proxy where a test wants a
 * connection to be long in opening: it answers CONNECT when the test says so.
 */

#define A "127.0.0.2"
#define B "127.0.0.1" /* where every server of web.h is */

static int places = 8;     /* connections */
static int64_t later_ms;   /* the clock of the door goes ahead by so much */
static atomic_bool moved;  /* the name is B's alone */
static atomic_int lookups; /* of that name */

static atomic_int tunnels; /* CONNECTs that came */
static int held_from;      /* from this one on to that one they have to wait */
static int held_to;
static atomic_bool released; /* no more */
static atomic_int longs;     /* requests that have no answer */

int64_t __real_loop_boot_ms(const struct loop *l);
int64_t __wrap_loop_boot_ms(const struct loop *l);
int __real_getaddrinfo(const char *name, const char *service,
                       const struct addrinfo *hints, struct addrinfo **found);
int __wrap_getaddrinfo(const char *name, const char *service,
                       const struct addrinfo *hints, struct addrinfo **found);

int64_t __wrap_loop_boot_ms(const struct loop *l)
{
    return __real_loop_boot_ms(l) + later_ms;
}

int __wrap_getaddrinfo(const char *name, const char *service,
                       const struct addrinfo *hints, struct addrinfo **found)
{
    struct addrinfo *second = NULL;
    if (strcmp(name, "nine.test") == 0) {
        *found = NULL;
        for (int i = 0, rc = 0; i < 9 && rc == 0; i++) {
            struct addrinfo *behind = *found;
            rc = __real_getaddrinfo(i ? "::1" : B, service, hints, found);
            (*found)->ai_next = behind;
        }
        return 0;
    }
    if (strcmp(name, "two.test") != 0) {
        return __real_getaddrinfo(name, service, hints, found);
    }
    lookups++;
    int rc = __real_getaddrinfo(B, service, hints, moved ? found : &second);
    if (rc == 0 && !moved) {
        rc = __real_getaddrinfo(A, service, hints, found);
        (*found)->ai_next = second; /* freeaddrinfo() goes along the list */
    }
    return rc;
}

/* ---- the server ---- */

/** A proxy and what is behind it in one. */
static bool serve_tunnels(struct web *w, int fd, const char *request,
                          int number)
{
    (void)number;
    if (strncmp(request, "CONNECT ", 8) == 0) {
        const int nth = ++tunnels;
        while (nth >= held_from && nth <= held_to && !released &&
               !w->stopping) {
            web_sleep_ms(1);
        }
        return web_say(fd, "HTTP/1.1 200 OK\r\n\r\n");
    }
    if (strstr(request, " /long ")) {
        longs++;
        web_hold(fd);
        return false;
    }
    return web_say(fd, OK_JSON);
}

/** One that the test itself answers. */
static int listen_at(const char *address, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port)};
    const int on = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    inet_pton(AF_INET, address, &at.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(fd, 8) != 0) {
        fail_msg("%s:%d: %s", address, port, strerror(errno));
    }
    return fd;
}

/** Whatever it asks. Closed before it is read, it would be reset. */
static void answer_the_last(int fd)
{
    web_say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                "Content-Length: 2\r\n\r\n{}");
    shutdown(fd, SHUT_WR);
}

static int accept_from(int listener)
{
    int fd = -1;
    for (int i = 0; i < LIMIT_MS / 5 && fd < 0; i++) {
        turn_for(5);
        fd = accept(listener, NULL, NULL);
    }
    assert_true(fd >= 0);
    return fd;
}

/** What waits for a proxy called so. */
static void begin(const char *name, int from, int to)
{
    static struct proxy proxy;
    static char text[100];
    struct err err = {0};
    held_from = from;
    held_to = to;
    web = web_start(serve_tunnels, NULL);
    snprintf(text, sizeof text, "http://%s:%d", name, web->port);
    assert_ptr_equal(proxy_of(&proxy, text, "", ""), &proxy);
    const struct http_options once = {.connections_max = places,
                                      .proxy = &proxy};
    const struct poller_options polls = {.connections_max = places,
                                         .proxy = &proxy};
    http = http_open(loop, &once, &err);
    poller = poller_open(loop, &polls, &err);
    assert_true(http && poller);
}

static void pay_within(const char *path, int64_t timeout_ms,
                       struct answer *answer)
{
    char url[64];
    snprintf(url, sizeof url, "http://provider.test%s", path);
    assert_true(post(url, "{}", timeout_ms, answer));
}

static void pay(const char *path, struct answer *answer)
{
    pay_within(path, 60000, answer);
}

/** Those of the answers from the one up to the other. */
static void are_well(int from, int to)
{
    for (int i = from; i < to; i++) {
        assert_string_equal(answers[i].why, "");
        assert_int_equal(answers[i].status, 200);
    }
}

/** Until it is so much: or more, where a machine stands still for so long that
 * another dial is right. */
static void until(atomic_int *n, int least)
{
    for (int i = 0; i < LIMIT_MS / 5 && *n < least; i++) {
        turn_for(5);
    }
    assert_true(*n >= least);
}

static int dials_setup(void **state)
{
    places = 8;
    later_ms = 0;
    moved = false;
    lookups = 0;
    tunnels = 0;
    held_from = 0;
    held_to = 0;
    released = false;
    longs = 0;
    return setup(state);
}

#define DIALS_TEST(name) TEST_CASE_WITH(name, dials_setup, poll_teardown)

/* ---- an address, and its place among others ---- */

static union lookup_address address_of(const char *text)
{
    struct lookup_answer answer = {0};
    assert_true(lookup_literal(text, 80, &answer));
    return answer.addresses[0];
}

TEST_CASE(names__one_fails_however_often__the_others_are_left)
{
    const union lookup_address a = address_of(A);
    const union lookup_address b = address_of(B);
    const union lookup_address c = address_of("::1");
    const struct lookup_answer found = {.addresses = {a, b, a, c}, .len = 4};
    struct names names = {0};
    assert_false(names_are_known(&names, 0));
    names_set(&names, &found, 1000);
    assert_true(names_are_known(&names, 999));
    assert_true(names_next_is(&names, &a));
    for (int i = 0; i < 5; i++) {
        names_fail(&names, &a); /* it is there twice */
        assert_int_equal(names_left(&names), 2);
        assert_true(names_next_is(&names, &b));
    }
    names_pass(&names);
    assert_true(names_next_is(&names, &c));
    names_pass(&names);
    assert_true(names_next_is(&names, &b));
    names_fail(&names, &b);
    names_fail(&names, &c);
    assert_int_equal(names_left(&names), 0);
    assert_false(names_are_known(&names, 999));
}

TEST_CASE(names__one_is_reached__it_is_next_and_all_are_left)
{
    const union lookup_address a = address_of(A);
    const union lookup_address b = address_of(B);
    const struct lookup_answer both = {.addresses = {a, b}, .len = 2};
    const struct lookup_answer one = {.addresses = {a}, .len = 1};
    struct names names = {0};
    names_set(&names, &both, 1000);
    names_fail(&names, &a);
    names_reach(&names, &b);
    assert_int_equal(names_left(&names), 2);
    assert_true(names_next_is(&names, &b));
    names_set(&names, &one, 1000);
    names_reach(&names, &b); /* it is none of them any more */
    names_fail(&names, &b);
    assert_int_equal(names_left(&names), 1);
    assert_true(names_next_is(&names, &a));
}

/** The way to one family may swallow what is sent: who was reached by the other
 * begins there. */
TEST_CASE(names__they_are_new__the_family_that_was_reached_is_next)
{
    const union lookup_address six = address_of("::1");
    const union lookup_address a = address_of(A);
    const union lookup_address b = address_of(B);
    const struct lookup_answer all = {.addresses = {six, a, b}, .len = 3};
    const struct lookup_answer one = {.addresses = {six}, .len = 1};
    struct names names = {0};
    names_set(&names, &all, 1000);
    assert_true(names_next_is(&names, &six));
    names_reach(&names, &b);
    names_set(&names, &all, 2000);
    assert_true(names_next_is(&names, &a));
    names_set(&names, &one, 3000);
    assert_true(names_next_is(&names, &six));
    assert_int_equal(names_left(&names), 1);
}

/** Eight of another family stand before it, and nobody is there. */
DIALS_TEST(the_ninth_address_is_of_another_family__it_is_reached)
{
    char url[64];
    web = web_start(serve_tunnels, NULL);
    open_http(8, NULL);
    snprintf(url, sizeof url, "http://nine.test:%d/x", web->port);
    assert_true(post(url, "{}", 8000, &answers[0]));
    wait_for(1);
    assert_string_equal(answers[0].why, "");
    assert_int_equal(answers[0].status, 200);
}

/** B is the second of two when it is dialed, and the only one when that opens:
 * there is no second one to be dialed next. */
DIALS_TEST(it_opens_when_the_names_are_new__the_next_dial_has_an_address)
{
    begin("two.test", 2, 2);
    pay("/long", &answers[0]);
    until(&longs, 1);
    later_ms = 59500;
    pay("/long", &answers[1]);
    until(&tunnels, 2);
    moved = true;
    later_ms = 60000;
    pay("/long", &answers[2]);
    until(&lookups, 2);
    until(&longs, 2);
    released = true;
    until(&longs, 3);
    pay("/x", &answers[3]);
    wait_for(1);
    assert_int_equal(answers[3].end, REPLY_WHOLE);
    assert_int_equal(answers[3].status, 200);
    assert_int_equal(lookups, 2);
}

/** A keeps the connection that it has, and takes no other one: two dials at
 * once fail there, and B is next, not A again. */
DIALS_TEST(two_dials_fail_at_one_address__the_other_one_is_next)
{
    char url[64];
    web = web_start(serve_tunnels, NULL);
    const int listener = listen_at(A, web->port);
    open_http(8, NULL);
    snprintf(url, sizeof url, "http://two.test:%d/x", web->port);
    assert_true(post(url, "{}", 60000, &answers[0]));
    const int busy = accept_from(listener);
    close(listener);
    for (int i = 1; i < 3; i++) {
        assert_true(post(url, "{}", 8000, &answers[i]));
    }
    wait_for(2);
    close(busy);
    are_well(1, 3);
}

/** What it means for those that were there is over with them. */
DIALS_TEST(a_dial_failed_beside_another__the_next_alone_is_tried)
{
    char url[64];
    const int port = web_free_port();
    int listener = listen_at(B, port);
    open_http(8, NULL);
    snprintf(url, sizeof url, "http://" B ":%d/x", port);
    assert_true(post(url, "{}", 60000, &answers[0]));
    int fd = accept_from(listener);
    close(listener);
    assert_true(post(url, "{}", 300, &answers[1]));
    wait_for(1);
    assert_int_equal(answers[1].end, REPLY_TIMED_OUT);
    assert_false(answers[1].sent);
    answer_the_last(fd);
    wait_for(2);
    close(fd);
    listener = listen_at(B, port);
    assert_true(post(url, "{}", 60000, &answers[2]));
    fd = accept_from(listener);
    close(listener);
    answer_the_last(fd);
    wait_for(3);
    close(fd);
    assert_string_equal(answers[2].why, "");
    assert_int_equal(answers[2].status, 200);
}

/* ---- dials that hang ---- */

/** One of the servers behind an address does nothing: the next dial has luck,
 * and nobody waits until the first one ends. */
DIALS_TEST(the_first_dial_hangs__another_one_serves_all)
{
    begin(B, 1, 1);
    for (int i = 0; i < 3; i++) {
        pay("/x", &answers[i]);
    }
    wait_for(3);
    are_well(0, 3);
    assert_in_range(tunnels, 2, 4);
}

DIALS_TEST(all_dials_hang__there_are_two_and_they_end_it)
{
    begin(B, 1, 99);
    for (int i = 0; i < 3; i++) {
        pay("/x", &answers[i]);
    }
    until(&tunnels, 2);
    later_ms = 9000;
    turn_for(1100); /* the first is over; no other is beside the second */
    wait_for(3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(answers[i].end, REPLY_TIMED_OUT);
        assert_non_null(strstr(answers[i].why, "within 10 s"));
        assert_false(answers[i].sent);
    }
    assert_int_equal(tunnels, 2);
}

/** Beside one that is busy: one more that opens shows which dials hang. */
DIALS_TEST(three_dials_hang_beside_another__one_more_serves_all)
{
    begin(B, 2, 4);
    pay("/long", &answers[0]);
    until(&longs, 1);
    for (int i = 1; i < 4; i++) {
        pay_within("/x", 8000, &answers[i]);
    }
    wait_for(3);
    are_well(1, 4);
    assert_in_range(tunnels, 5, 7);
}

/** The same where that leaves no place for one more. */
DIALS_TEST(dials_that_hang_take_all_places__one_of_them_gives_its_own)
{
    places = 4;
    begin(B, 2, 4);
    pay("/long", &answers[0]);
    until(&longs, 1);
    for (int i = 1; i < 4; i++) {
        pay_within("/x", 4800, &answers[i]); /* before the dials are over */
    }
    until(&tunnels, 4);
    later_ms = 5000;
    wait_for(3);
    are_well(1, 4);
}

/** Each that comes has its own dial, so that none is ever the last for long. */
DIALS_TEST(an_address_hangs_while_others_come__the_other_one_is_tried)
{
    places = 40;
    begin("two.test", 0, 0);
    const int listener = listen_at(A, web->port);
    pay_within("/long", 600000, &answers[0]); /* B, after A */
    until(&longs, 1);
    later_ms = 11000;
    turn_for(1500);   /* the first dial is over */
    later_ms = 71000; /* the names are asked for again: A is next */
    for (int i = 1; i < 31; i++) { /* for longer than one has */
        pay_within("/x", 8000, &answers[i]);
        turn_for(300);
    }
    wait_for(30);
    close(listener);
    are_well(1, 31);
}

DIALS_TEST(all_dials_hang_beside_another__there_is_one_more)
{
    begin(B, 2, 99);
    pay("/long", &answers[0]);
    until(&longs, 1);
    for (int i = 1; i < 4; i++) {
        pay_within("/x", 8000, &answers[i]);
    }
    wait_for(3);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(answers[i].end, REPLY_TIMED_OUT);
        assert_false(answers[i].sent);
    }
    assert_int_equal(tunnels, 5);
}

/** A poll could wait for as long as the dial does. */
DIALS_TEST(a_dial_hangs_beside_a_busy_one__a_poll_has_another)
{
    begin(B, 2, 2);
    assert_true(ask("http://provider.test/long", 60000, &answers[0]));
    until(&longs, 1);
    const int64_t began_us = loop_boot_us(loop);
    assert_true(ask("http://provider.test/x", 60000, &answers[1]));
    wait_for(1);
    assert_true(loop_boot_us(loop) - began_us < 8000000); /* of 10 s a dial */
    assert_int_equal(answers[1].status, 200);
    assert_int_equal(tunnels, 3);
}

/** A proxy at A that takes connections and no more; the one at B is well. */
DIALS_TEST(the_first_address_hangs__the_other_one_is_tried_soon)
{
    begin("two.test", 0, 0);
    const int listener = listen_at(A, web->port);
    pay_within("/x", 8000, &answers[0]);
    wait_for(1);
    close(listener);
    assert_string_equal(answers[0].why, "");
    assert_int_equal(answers[0].status, 200);
    assert_int_equal(tunnels, 1);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
