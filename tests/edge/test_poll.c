/* tests/run: raced */
#include "edge/coded.h"
#include "edge/poll_trial.h"
#include "edge/line.h"
#include "edge/tls.h"

/* What is asked, what is understood, and who may answer. */

POLL_TEST(poller_send__get__says_who_and_where_and_brings_all)
{
    web = web_start(serve_text, "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n"
                                "Content-Type: application/json\r\n"
                                "Content-Length: 8\r\n\r\n{\"a\": 1}");
    open_poller(4, NULL);
    assert_true(ask(url_of("/v1/tasks/t1?x=y#no"), 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_WHOLE);
    assert_true(answers->sent);
    assert_int_equal(answers->status, 429);
    assert_string_equal(answers->body, "{\"a\": 1}");
    assert_string_equal(answers->retry_after, "7");
    assert_string_equal(answers->content_type, "application/json");
    assert_string_equal(answers->why, "");
    char host[64];
    snprintf(host, sizeof host, "\r\nHost: 127.0.0.1:%d\r\n", web->port);
    assert_int_equal(
        strncmp(web->last, "GET /v1/tasks/t1?x=y HTTP/1.1\r\n", 31), 0);
    assert_non_null(strstr(web->last, host));
    assert_non_null(strstr(web->last, "\r\nAuthorization: Bearer secret\r\n"));
    assert_non_null(strstr(web->last, "\r\nAccept-Encoding: identity\r\n"));
    assert_non_null(strstr(web->last, "\r\nUser-Agent: pixverse-worker/"));
}

POLL_TEST(poller_send__no_path_no_key__asks_for_the_root)
{
    web = web_start(serve_ok, NULL);
    open_poller(4, NULL);
    assert_true(ask_as(web->url, NULL, 5000, NULL, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_WHOLE);
    assert_int_equal(strncmp(web->last, "GET / HTTP/1.1\r\n", 16), 0);
    assert_null(strstr(web->last, "Authorization"));
}

/** A connection serves any key; each exchange says its own. */
POLL_TEST(poller_send__two_keys_two_hosts__each_gets_its_own)
{
    struct web *other = web_start(serve_ok, NULL);
    web = web_start(serve_ok, NULL);
    open_poller(1, NULL);
    assert_true(ask_as(url_of("/a"), "one", 5000, NULL, &answers[0]));
    wait_for(1);
    assert_non_null(strstr(web->last, "Bearer one\r\n"));
    assert_true(ask_as(url_of("/b"), "two", 5000, NULL, &answers[1]));
    assert_true(ask_as(other->url, "three", 5000, NULL, &answers[2]));
    wait_for(3);
    assert_non_null(strstr(web->last, "Bearer two\r\n"));
    assert_non_null(strstr(other->last, "Bearer three\r\n"));
    assert_int_equal(web->connections, 1);
    web_stop(other);
}

static const struct {
    const char *reply;
    enum reply_end end;
    int status;
    const char *body;
} replies[] = {
    {"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n",
     REPLY_WHOLE, 302, ""},
    {"HTTP/1.1 204 No\r\n\r\n", REPLY_WHOLE, 204, ""},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" OK_JSON,
     REPLY_WHOLE, 200, "{}"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "1\r\n{\r\n1;x=y\r\n}\r\n0\r\nTrailer: z\r\n\r\n",
     REPLY_WHOLE, 200, "{}"},
    {"HTTP/1.1 200 OK\r\n\r\n{\"to\":\"the end\"}", REPLY_WHOLE, 200,
     "{\"to\":\"the end\"}"},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", REPLY_WHOLE, 200, "{}"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", REPLY_BROKEN, 200, ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
     REPLY_BROKEN, 200, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{", REPLY_TOO_LARGE,
     200, ""},
    {"HTTP/1.1 200 OK\r\nContent-", REPLY_BROKEN, 200, ""},
    {"", REPLY_BROKEN, 0, ""},
    {"no TLS here\r\n\r\n", REPLY_BROKEN, 0, ""},
    {"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n", REPLY_BROKEN, 0, ""},
};

POLL_TEST(poller_send__each_reply__is_read)
{
    web = web_start(serve_text, NULL);
    open_poller(4, NULL);
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        web->context = (void *)(uintptr_t)replies[i].reply;
        const struct answer *answer = asked(url_of("/x"));
        print_message("%zu %s\n", i, answer->why);
        assert_int_equal(answer->end, replies[i].end);
        assert_int_equal(answer->status, replies[i].status);
        assert_string_equal(answer->body, replies[i].body);
        assert_true(answer->sent);
        assert_true((answer->end == REPLY_WHOLE) == !answer->why[0]);
    }
    assert_int_equal(web->requests, sizeof replies / sizeof *replies);
}

static bool serve_slowly(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    for (const char *at = OK_JSON; *at; at++) {
        web_send(fd, at, 1);
        web_sleep_ms(2);
    }
    return true;
}

POLL_TEST(poller_send__byte_by_byte__comes_whole_and_is_kept)
{
    web = web_start(serve_slowly, NULL);
    open_poller(4, NULL);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(asked(url_of("/x"))->body, "{}");
    }
    assert_int_equal(web->connections, 1);
}

/* Static: the server's thread looks at it after it has gone out, too. */
static struct packed {
    char bytes[200];
    size_t len;
} packed;

static bool serve_coded(struct web *w, int fd, const char *request, int number)
{
    const struct packed *p = w->context;
    char head[160];
    (void)request;
    (void)number;
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
             "Content-Length: %zu\r\n\r\n",
             p->len);
    return web_say(fd, head) && web_send(fd, p->bytes, p->len);
}

/** Nobody asked for it. */
POLL_TEST(poller_send__packed_reply__comes_as_it_was_meant)
{
    const char json[] = "{\"code\":200}";
    struct coded coded = coded_zlib(json, sizeof json - 1, CODED_GZIP);
    assert_true(coded.len <= sizeof packed.bytes);
    memcpy(packed.bytes, coded.bytes, coded.len);
    packed.len = coded.len;
    free(coded.bytes);
    web = web_start(serve_coded, &packed);
    open_poller(4, NULL);
    assert_string_equal(asked(url_of("/x"))->body, "{\"code\":200}");
    static struct packed broken; /* the server outlives this function */
    broken = packed;
    memset(broken.bytes + 10, 0xff, broken.len - 10);
    web->context = &broken;
    const struct answer *answer = asked(url_of("/x"));
    assert_int_equal(answer->end, REPLY_BROKEN);
    assert_non_null(strstr(answer->why, "gzip"));
}

/* ---- not sent ---- */

POLL_TEST(poller_send__nothing_listens__is_unreached)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", web_free_port());
    open_poller(4, NULL);
    for (int i = 0; i < 3; i++) {
        const struct answer *answer = asked(url);
        assert_int_equal(answer->end, REPLY_UNREACHED);
        assert_false(answer->sent);
        assert_int_equal(answer->status, 0);
        assert_non_null(strstr(answer->why, "refused"));
    }
}

POLL_TEST(poller_send__no_such_host__is_unresolved)
{
    open_poller(4, NULL);
    assert_true(ask("http://no-such-host.invalid/", 8000, &answers[0]));
    assert_true(ask("http://no-such-host.invalid/", 8000, &answers[1]));
    wait_for(2);
    assert_int_equal(answers[0].end, REPLY_UNRESOLVED);
    assert_int_equal(answers[1].end, REPLY_UNRESOLVED);
    assert_false(answers[0].sent);
    /* Where no name server answers, the resolver is waited for no longer. */
    assert_true(strstr(answers[0].why, "no-such-host.invalid") ||
                strstr(answers[0].why, "no name server answered"));
}

/** Closed while the resolver is asked: nobody waits for it. */
POLL_TEST(poller_close__in_a_lookup__ends_it)
{
    open_poller(4, NULL);
    assert_true(ask("http://no-such-host.invalid/", 8000, answers));
    turn_for(1);
    close_poller();
    assert_int_equal(answers->calls, 1);
    assert_true(answers->end == REPLY_CANCELLED ||
                answers->end == REPLY_UNRESOLVED);
}

/** A name with several addresses, not all of which are listened on. */
POLL_TEST(poller_send__by_name__finds_the_address_that_answers)
{
    char url[64];
    web = web_start(serve_ok, NULL);
    snprintf(url, sizeof url, "http://localhost:%d/", web->port);
    open_poller(4, NULL);
    assert_int_equal(asked(url)->end, REPLY_WHOLE);
    snprintf(url, sizeof url, "\r\nHost: localhost:%d\r\n", web->port);
    assert_non_null(strstr(web->last, url));
}

static bool never(void *context)
{
    (void)context;
    return false;
}

POLL_TEST(poller_send__may_send_says_no__nothing_leaves)
{
    web = web_start(serve_ok, NULL);
    open_poller(4, NULL);
    assert_true(ask_as(url_of("/x"), "k", 5000, never, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_CANCELLED);
    assert_false(answers->sent);
    assert_int_equal(web->requests, 0);
}

POLL_TEST(poller_send__bad_urls_and_keys__are_refused)
{
    static const char *const urls[] = {
        "ftp://127.0.0.1/",  "file:///etc/passwd",
        "127.0.0.1",         "",
        "http://",           "http:///x",
        "http://a b/",       "http://a/b c",
        "http://a/\r\nX: y", "http://a:/",
        "http://a:0/",       "http://a:65536/",
        "http://u:p@a/",     "http://[::1/",
        "http://[::1]x/",    "HTTPS://127.0.0.1",
        "http://a:1x/",
    };
    open_poller(4, NULL);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        print_message("%s\n", urls[i]);
        assert_false(ask(urls[i], 1000, answers));
    }
    assert_false(ask_as("http://127.0.0.1/", "b\nX: y", 1000, NULL, answers));
    assert_int_equal(poller_under_way(poller), 0);
    assert_int_equal(came, 0);
}

POLL_TEST(poller_send__proxy_in_the_environment__goes_straight)
{
    struct web *proxy = web_start(serve_ok, NULL);
    web = web_start(serve_ok, NULL);
    setenv("http_proxy", proxy->url, 1);
    setenv("ALL_PROXY", proxy->url, 1);
    open_poller(4, NULL);
    const enum reply_end end = asked(url_of("/x"))->end;
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    const int proxied = proxy->connections;
    web_stop(proxy);
    assert_int_equal(end, REPLY_WHOLE);
    assert_int_equal(proxied, 0);
    assert_int_equal(web->requests, 1);
}

/* ---- TLS ---- */

POLL_TEST(poller_send__each_certificate__is_judged)
{
    struct tls tls = {0};
    char url[64];
    char named[64];
    const int port = web_free_port();
    assert_true(tls_start(&tls, "127.0.0.1", port, "-www"));
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", port);
    snprintf(named, sizeof named, "https://localhost:%d/", port);
    open_poller(4, NULL);
    struct answer stranger = *asked(url);
    close_poller();
    open_poller(4, tls.cert);
    struct answer known = *asked(url);
    struct answer again = *asked(url);
    /* It names 127.0.0.1: that its subject is called localhost, and that this
     * is where localhost is, doesn't count. */
    struct answer elsewhere = *asked(named);
    close_poller();
    open_poller(4, "/no/such/file");
    struct answer untrusting = *asked(url);
    tls_stop(&tls);
    assert_int_equal(stranger.end, REPLY_UNTRUSTED);
    assert_false(stranger.sent);
    assert_non_null(strstr(stranger.why, "certificate"));
    assert_int_equal(known.end, REPLY_WHOLE);
    assert_int_equal(again.end, REPLY_WHOLE);
    assert_int_equal(elsewhere.end, REPLY_UNTRUSTED);
    assert_false(elsewhere.sent);
    assert_non_null(strstr(elsewhere.why, "localhost"));
    assert_int_equal(untrusting.end, REPLY_UNTRUSTED);
    assert_non_null(strstr(untrusting.why, "/no/such/file"));
}

/** Each reply ends its connection, and tells whether that went on with the
 * session of an earlier one. */
static const char once[] =
    "keepalive_requests 1; return 200 '$ssl_session_reused';";

POLL_TEST(poller_send__next_connection__goes_on_with_the_session)
{
    struct tls tls = {0};
    char url[64];
    char named[64];
    const int port = web_free_port();
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", port);
    snprintf(named, sizeof named, "https://localhost:%d/", port);
    assert_true(tls_start_nginx(&tls, port, once));
    open_poller(4, tls.cert);
    const struct answer first = *asked(url);
    const struct answer second = *asked(url);
    const struct answer third = *asked(url);
    const struct answer other = *asked(named);
    const struct answer again = *asked(named);
    /* Who has that address next has neither the session nor the key. */
    tls_stop(&tls);
    assert_true(tls_start_nginx(&tls, port, once));
    const struct answer stranger = *asked(url);
    close_poller();
    open_poller(4, tls.cert);
    const struct answer known = *asked(url);
    tls_stop(&tls);
    assert_string_equal(first.body, ".");
    assert_string_equal(second.body, "r");
    assert_string_equal(third.body, "r");
    assert_string_equal(other.body, "."); /* each host has its own */
    assert_string_equal(again.body, "r");
    assert_int_equal(stranger.end, REPLY_UNTRUSTED);
    assert_string_equal(known.body, ".");
}

POLL_TEST(poller_send__tls_1_2__goes_on_with_the_session)
{
    struct tls tls = {0};
    char url[64];
    char directives[120];
    const int port = web_free_port();
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", port);
    snprintf(directives, sizeof directives, "ssl_protocols TLSv1.2; %s", once);
    assert_true(tls_start_nginx(&tls, port, directives));
    open_poller(4, tls.cert);
    const struct answer first = *asked(url);
    const struct answer second = *asked(url);
    tls_stop(&tls);
    assert_string_equal(first.body, ".");
    assert_string_equal(second.body, "r");
}

/** What is in its way cuts off what it doesn't know: it costs one try, and none
 * is made so again. */
POLL_TEST(poller_send__a_session_is_no_good__the_next_offers_none)
{
    struct tls tls = {0};
    char url[64];
    const int port = web_free_port();
    assert_true(tls_start_nginx(&tls, port, once));
    struct line *line = line_start(port);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", line->port);
    open_poller(4, tls.cert);
    const struct answer first = *asked(url);
    line->longest = line->words + 50; /* a session is more */
    const struct answer second = *asked(url);
    turn_for(1100); /* no other dial for a second */
    const struct answer third = *asked(url);
    const struct answer fourth = *asked(url);
    close_poller();
    line_stop(line);
    tls_stop(&tls);
    assert_string_equal(first.body, ".");
    assert_false(second.sent);
    assert_string_equal(third.body, ".");
    assert_string_equal(fourth.body, ".");
}

static bool serve_no_tls(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    return web_say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static void *say_no_tls(void *context)
{
    int fd = accept(*(int *)context, NULL, NULL);
    web_say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
    web_hold(fd);
    close(fd);
    return NULL;
}

POLL_TEST(poller_send__server_without_tls__is_unreached)
{
    char url[64];
    pthread_t thread;
    web = web_start(serve_no_tls, NULL); /* its port is taken, no more */
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 4), 0);
    getsockname(listener, (struct sockaddr *)&address, &len);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", ntohs(address.sin_port));
    pthread_create(&thread, NULL, say_no_tls, &listener);
    open_poller(4, NULL);
    const struct answer answer = *asked(url);
    pthread_join(thread, NULL);
    close(listener);
    assert_int_equal(answer.end, REPLY_UNREACHED);
    assert_false(answer.sent);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
