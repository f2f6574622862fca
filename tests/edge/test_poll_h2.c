/* wraps: loop_boot_ms */
#include "edge/h2_server.h"
#include "edge/line.h"
#include "edge/poll_trial.h"

/* HTTP/2: many exchanges on one connection, and what may become of one. */

static struct h2_server *server;
static int64_t later_ms; /* the clock of the door goes ahead by so much */

int64_t __real_loop_boot_ms(const struct loop *l);
int64_t __wrap_loop_boot_ms(const struct loop *l);

int64_t __wrap_loop_boot_ms(const struct loop *l)
{
    return __real_loop_boot_ms(l) + later_ms;
}

static const char *at(const char *path)
{
    static char url[128];
    snprintf(url, sizeof url, "%s%s", server->url, path);
    return url;
}

static int64_t begun_us;

static void begin(uint32_t streams_max, int connections)
{
    server = h2_server_start(streams_max);
    open_poller(connections, server->tls.cert);
    begun_us = loop_boot_us(loop);
}

/** So many; where the machine stood still for a second, which is when a dial
 * has another one beside it, one more. */
static void assert_connections(int n)
{
    const bool stood = loop_boot_us(loop) - begun_us >= 1000000;
    assert_in_range(server->connections, n, n + stood);
}

static int h2_teardown(void **state)
{
    close_poller();
    if (server) {
        h2_server_stop(server);
        server = NULL;
    }
    later_ms = 0;
    return poll_teardown(state);
}

#define H2_TEST(name) TEST_CASE_WITH(name, setup, h2_teardown)

H2_TEST(many__over_http2__share_a_connection)
{
    begin(0, 8);
    ask_well(at("/v1/tasks/t1?x=y"), 50);
    ask_well(at("/v1/tasks/t1?x=y"), 50);
    assert_connections(1);
    assert_true(server->at_once > 1);
    pthread_mutex_lock(&server->lock);
    assert_non_null(strstr(server->last, ":path=/v1/tasks/t1?x=y\n"));
    assert_non_null(strstr(server->last, ":authority=127.0.0.1:"));
    assert_non_null(strstr(server->last, "authorization=Bearer secret\n"));
    assert_non_null(strstr(server->last, "user-agent=pixverse-worker/"));
    pthread_mutex_unlock(&server->lock);
    assert_string_equal(answers[0].content_type, "application/json");
    assert_string_equal(answers[0].body, "{}");
}

/** The certificate names it, and is asked for by that name. */
H2_TEST(a_host_by_name__is_trusted_by_its_name)
{
    char url[64];
    begin(0, 2);
    snprintf(url, sizeof url, "https://localhost:%d/x", server->port);
    ask_well(url, 3);
    assert_connections(1);
}

/** More than it allows wait, or go over another connection. */
H2_TEST(a_limit_of_streams__is_kept)
{
    begin(2, 2);
    ask_well(at("/first"), 1);
    ask_well(at("/x"), 60);
    assert_int_equal(server->at_once, 2);
    assert_in_range(server->connections, 1, 2);
}

H2_TEST(hints_and_trailers__are_not_the_reply)
{
    begin(0, 2);
    const struct answer *answer = asked(at("/hints"));
    assert_int_equal(answer->end, REPLY_WHOLE);
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->body, "{}");
    assert_string_equal(answer->retry_after, "");
}

H2_TEST(what_is_over_a_bound__ends_its_stream_alone)
{
    begin(0, 2);
    assert_true(ask(at("/large"), 10000, &answers[0]));
    assert_true(ask(at("/flood"), 10000, &answers[1]));
    assert_true(ask(at("/reset"), 10000, &answers[2]));
    assert_true(ask(at("/x"), 10000, &answers[3]));
    wait_for(4);
    assert_int_equal(answers[0].end, REPLY_TOO_LARGE);
    assert_int_equal(answers[1].end, REPLY_BROKEN);
    assert_non_null(strstr(answers[1].why, "64 KiB"));
    assert_int_equal(answers[2].end, REPLY_BROKEN);
    assert_non_null(strstr(answers[2].why, "INTERNAL_ERROR"));
    assert_int_equal(answers[3].end, REPLY_WHOLE);
    assert_true(answers[0].sent && answers[1].sent && answers[2].sent);
    ask_well(at("/x"), 1);
    assert_connections(1);
}

/** It was not served: it is asked again. */
H2_TEST(a_stream_that_was_refused__is_asked_again)
{
    begin(0, 2);
    assert_int_equal(asked(at("/refused"))->end, REPLY_WHOLE);
    assert_int_equal(server->requests, 2);
}

/** What GOAWAY names is served still, what it doesn't goes elsewhere. */
H2_TEST(goaway__the_rest_goes_over_another_connection)
{
    begin(0, 2);
    ask_well(at("/x"), 1);
    assert_int_equal(asked(at("/away"))->end, REPLY_WHOLE);
    assert_connections(2);
    ask_well(at("/x"), 5);
    assert_connections(2);
}

H2_TEST(a_kept_connection_that_closes__loses_nothing)
{
    begin(0, 2);
    ask_well(at("/x"), 1);
    assert_int_equal(asked(at("/close"))->end, REPLY_WHOLE);
    assert_connections(2);
}

/** The next one would die of it as well. */
H2_TEST(a_fresh_connection_that_closes__is_asked_once)
{
    begin(0, 2);
    const struct answer *answer = asked(at("/dead"));
    assert_int_equal(answer->end, REPLY_BROKEN);
    assert_true(answer->sent);
    assert_int_equal(server->requests, 1);
    assert_connections(1);
    ask_well(at("/x"), 1);
    assert_int_equal(asked(at("/dead"))->end, REPLY_BROKEN);
    assert_int_equal(server->requests, 4); /* it was kept, then it was not */
    assert_connections(3);
}

H2_TEST(a_connection_that_breaks__breaks_what_had_begun)
{
    begin(0, 2);
    const struct answer cut = *asked(at("/cut"));
    assert_int_equal(cut.end, REPLY_BROKEN);
    assert_int_equal(cut.status, 200);
    const struct answer garbage = *asked(at("/garbage"));
    assert_int_equal(garbage.end, REPLY_BROKEN);
    assert_true(garbage.why[0]);
    ask_well(at("/x"), 3);
}

/** One that is slow alone doesn't cost the connection. */
H2_TEST(a_stream_that_is_late__ends_alone)
{
    begin(0, 2);
    ask_well(at("/x"), 1);
    memset(answers, 0, sizeof answers);
    came = 0;
    assert_true(ask(at("/never"), 300, &answers[0]));
    for (int i = 1; i < 4; i++) {
        turn_for(60);
        assert_true(ask(at("/x"), 10000, &answers[i]));
    }
    wait_for(4);
    assert_int_equal(answers[0].end, REPLY_TIMED_OUT);
    assert_true(answers[0].sent);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(answers[i].end, REPLY_WHOLE);
    }
}

/** It answers a PING, so it is not dead. */
H2_TEST(a_long_silence__of_a_server_that_lives__is_borne)
{
    begin(0, 1);
    ask_well(at("/x"), 1);
    const int before = server->connections;
    memset(answers, 0, sizeof answers);
    came = 0;
    assert_true(ask(at("/never"), 60000, answers));
    for (int i = 0; i < 3; i++) {
        later_ms += 4500;
        turn_for(1100); /* the door looks each second */
    }
    assert_int_equal(answers->calls, 0);
    ask_well(at("/x"), 1);
    assert_int_equal(server->connections, before);
    close_poller();
}

H2_TEST(a_connection_that_is_swallowed__is_left_with_all_on_it)
{
    struct tls tls = {0};
    char url[64];
    const int port = web_free_port();
    assert_true(tls_start_nginx(&tls, port, ""));
    struct line *line = line_start(port);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", line->port);
    open_poller(4, tls.cert);
    begun_us = loop_boot_us(loop);
    ask_well(url, 1);
    ask_well(url, 20);
    const bool stood = loop_boot_us(loop) - begun_us >= 1000000;
    const int before = line->len;
    line_swallow(line);
    memset(answers, 0, sizeof answers);
    came = 0;
    for (int i = 0; i < 3; i++) {
        assert_true(ask(url, 60000, &answers[i]));
    }
    /* After 5 s of silence a PING, after 5 s more another connection: from then
     * on the clock goes as it does, or the new one would be taken for hung
     * before the line has counted it. */
    for (int i = 0; i < 2; i++) {
        later_ms += 5000;
        turn_for(1100);
    }
    wait_for(3);
    const int after = line->len;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(answers[i].end, REPLY_WHOLE);
    }
    ask_well(url, 8);
    close_poller();
    line_stop(line);
    tls_stop(&tls);
    assert_in_range(before, 1, 1 + stood); /* it is HTTP/2: one for all */
    /* If the next was slow to open, more. */
    assert_in_range(after, before + 1, before + 3);
}

/** One server of many behind an address takes connections and no more. */
H2_TEST(a_handshake_that_hangs__another_connection_has_all)
{
    begin(0, 4);
    struct line *line = line_start(server->port);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", line->port);
    line->swallowed = 1; /* from its first byte on */
    ask_well(url, 20);
    assert_in_range(line->len, 2, 4); /* a machine may be slow for a second */
    assert_int_equal(server->requests, 20);
    close_poller();
    line_stop(line);
}

/** However often it is asked meanwhile. */
H2_TEST(a_swallowed_connection__asked_on_and_on__is_left)
{
    begin(0, 4);
    struct line *line = line_start(server->port);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", line->port);
    ask_well(url, 2);
    line_swallow(line);
    memset(answers, 0, sizeof answers);
    came = 0;
    int n = 0;
    while (came == 0 && n < 40) {
        assert_true(ask(url, 60000, &answers[n++]));
        turn_for(400);
        /* Not as far as the 10 s after which there is another: that one would
         * be taken for hung before the line has counted it. */
        later_ms += later_ms < 8000 ? 2000 : 0;
    }
    wait_for(n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(answers[i].end, REPLY_WHOLE);
    }
    assert_in_range(line->len, 2, 4); /* if the next was slow to open */
    close_poller();
    line_stop(line);
}

H2_TEST(kept_for_ten_minutes__is_not_kept_on)
{
    begin(0, 4);
    for (int i = 0; i < 15; i++) {
        ask_well(at("/x"), 1);
        later_ms += 42000; /* in use all the time */
    }
    ask_well(at("/x"), 1);
    assert_connections(2);
    later_ms += 51000; /* and no idle one */
    ask_well(at("/x"), 1);
    assert_connections(3);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
