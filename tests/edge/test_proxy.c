#include "edge/fetch.h"
#include "edge/h2_server.h"
#include "edge/poll_trial.h"
#include "edge/proxy_trial.h"
#include "edge/web/wire.h"

/* Provider, S3 and videos through a proxy: what fails before the tunnel stands
 * was not sent and is the proxy's; what fails behind it is as without one. */

#define REFUSES_407                                                            \
    "HTTP/1.1 407 Proxy Authentication Required\r\n"                           \
    "Proxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 4\r\n\r\nnope"
#define REFUSES_403 "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
#define REFUSES_502 "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"

static struct web *way; /* the proxy */
static struct proxy proxy;
static char proxy_text[300];
static char secure_ca[64]; /* the server's */

static void use(const char *scheme, const char *user, int port,
                const char *except, const char *ca_file)
{
    snprintf(proxy_text, sizeof proxy_text, "%s://%s127.0.0.1:%d", scheme, user,
             port);
    assert_ptr_equal(proxy_of(&proxy, proxy_text, except, ca_file), &proxy);
}

static void open_doors(const char *ca_file)
{
    struct err err = {0};
    const struct http_options once = {
        .connections_max = 4, .ca_file = ca_file, .proxy = &proxy};
    const struct poller_options polls = {
        .connections_max = 4, .ca_file = ca_file, .proxy = &proxy};
    http = http_open(loop, &once, &err);
    poller = poller_open(loop, &polls, &err);
    assert_true(http && poller);
}

static void begin(const char *mode)
{
    web = web_start(serve_ok, NULL);
    way = web_start(serve_proxy, (void *)(uintptr_t)mode);
    tunnels = 0;
    use("http", "", way->port, "", "");
    open_doors(NULL);
}

static int proxy_teardown(void **state)
{
    close_poller();
    const int done = teardown(state);
    if (way) {
        web_stop(way);
        way = NULL;
    }
    return done;
}

#define PROXY_TEST(name) TEST_CASE_WITH(name, setup, proxy_teardown)

static const struct answer *posted(const char *url)
{
    memset(answers, 0, sizeof answers);
    came = 0;
    assert_true(post(url, "{}", 10000, answers));
    wait_for(1);
    return answers;
}

static struct wire_answer wired; /* without its body */

static void on_wire(void *context, const struct wire_answer *answer)
{
    (void)context;
    wired = *answer;
    loop_stop(loop);
}

/** The door of S3, which is libcurl's. */
static const struct wire_answer *asked_by_wire(const char *url, bool direct)
{
    struct err err = {0};
    struct wire *wire = wire_open(loop, 2, &proxy, &err);
    const struct wire_request request = {
        .method = "GET",
        .url = url,
        .direct = direct,
        .connect_ms = 5000,
        .stall_ms = 5000,
    };
    assert_non_null(wire);
    assert_non_null(wire_start(wire, &request, on_wire, NULL));
    loop_run(loop);
    wire_close(wire);
    return &wired;
}

/** A server's URL under a name that only the proxy knows. */
static const char *named(const char *scheme, int port, const char *path)
{
    static char url[200];
    snprintf(url, sizeof url, "%s://provider.invalid:%d%s", scheme, port, path);
    return url;
}

/* ---- a tunnel ---- */

PROXY_TEST(plain_http__goes_through_a_tunnel__which_is_used_again)
{
    begin(PROXY_TUNNEL);
    for (int i = 0; i < 3; i++) {
        const struct answer *answer = posted(named("http", web->port, "/v1"));
        assert_string_equal(answer->why, "");
        assert_int_equal(answer->status, 200);
        assert_true(answer->sent);
        assert_non_null(strstr(connect_head, "CONNECT provider.invalid:"));
        assert_null(strstr(connect_head, "Bearer"));
        assert_null(strcasestr(connect_head, "Idempotency-Key"));
        assert_null(strcasestr(connect_head, "Proxy-Authorization"));
        assert_non_null(strstr(web->last, "POST /v1 HTTP/1.1\r\n"));
        assert_null(strcasestr(web->last, "Proxy-"));
    }
    assert_int_equal(tunnels, 1);
    for (int i = 0; i < 3; i++) {
        const struct answer *answer = asked(named("http", web->port, "/t"));
        assert_string_equal(answer->why, "");
        assert_int_equal(answer->status, 200);
        assert_null(strstr(connect_head, "Bearer"));
        assert_non_null(strstr(web->last, "GET /t HTTP/1.1\r\n"));
    }
    assert_int_equal(tunnels, 2);
}

PROXY_TEST(credentials__are_shown_to_the_proxy__to_nobody_else)
{
    begin(PROXY_TUNNEL);
    close_poller();
    http_close(http);
    use("http", "a%40b:p%3Aw@", way->port, "", "");
    open_doors(NULL);
    const char *said = "Proxy-Authorization: Basic YUBiOnA6dw==\r\n";
    assert_int_equal(posted(named("http", web->port, "/"))->status, 200);
    assert_non_null(strcasestr(connect_head, said));
    assert_null(strcasestr(web->last, "YUBiOnA6dw"));
    assert_int_equal(asked(named("http", web->port, "/"))->status, 200);
    assert_non_null(strstr(connect_head, said));
    assert_null(strcasestr(web->last, "YUBiOnA6dw"));
}

PROXY_TEST(who_is_excepted__is_reached_without_it)
{
    begin(REFUSES_403);
    proxy.except = "other.example,127.0.0.0/8";
    assert_int_equal(posted(web->url)->status, 200);
    assert_int_equal(asked(web->url)->status, 200);
    assert_int_equal(way->requests, 0);
}

/** What the environment says is heeded neither for the proxy nor against it. */
PROXY_TEST(variables_of_the_environment__change_nothing)
{
    setenv("no_proxy", "*", 1);
    setenv("NO_PROXY", "*", 1);
    begin(PROXY_TUNNEL);
    assert_int_equal(posted(named("http", web->port, "/"))->status, 200);
    assert_int_equal(asked(named("http", web->port, "/"))->status, 200);
    assert_int_equal(
        asked_by_wire(named("http", web->port, "/"), false)->status, 200);
    assert_int_equal(tunnels, 3);
    close_poller();
    http_close(http);
    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    open_http(2, NULL);
    open_poller(2, NULL);
    assert_int_equal(posted(web->url)->status, 200);
    assert_int_equal(asked(web->url)->status, 200);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

/* ---- TLS ---- */

static struct h2_server *begin_secure(void)
{
    struct h2_server *server = h2_server_start(0);
    way = web_start(serve_proxy, PROXY_TUNNEL);
    tunnels = 0;
    snprintf(secure_ca, sizeof secure_ca, "%s", server->tls.cert);
    return server;
}

/** Many at once, which share a connection; returns how many connections that
 * may take: a dial has another one beside it when it has not come to its end
 * within a second. */
static int ask_of_one(const char *url)
{
    const int64_t began_us = loop_boot_us(loop);
    ask_well(url, 20);
    return loop_boot_us(loop) - began_us < 1000000 ? 1 : 2;
}

PROXY_TEST(https__is_between_us_and_the_host__http2_too)
{
    struct h2_server *server = begin_secure();
    use("http", "", way->port, "", "");
    open_doors(secure_ca);
    const int most = ask_of_one(server->url);
    assert_in_range(server->connections, 1, most);
    assert_in_range(tunnels, 1, most);
    h2_server_stop(server);
}

PROXY_TEST(a_proxy_over_tls__carries_tls_within)
{
    struct h2_server *server = begin_secure();
    struct front *front = front_start(way->port);
    use("https", "u:p@", front->port, "", front->tls.cert);
    open_doors(secure_ca);
    const int most = ask_of_one(server->url);
    assert_in_range(tunnels, 1, most);
    web = web_start(serve_ok, NULL);
    assert_int_equal(asked(named("http", web->port, "/"))->status, 200);
    assert_int_equal(posted(named("http", web->port, "/"))->status, 200);
    assert_non_null(strcasestr(connect_head, "Proxy-Authorization: Basic"));
    /* large bodies cross both */
    char url[100];
    snprintf(url, sizeof url, "%s/large", server->url);
    assert_int_equal(asked(url)->end, REPLY_TOO_LARGE);
    close_poller();
    http_close(http);
    http = NULL;
    front_stop(front);
    h2_server_stop(server);
}

PROXY_TEST(a_proxy_that_nobody_vouches_for__is_told_as_the_proxy)
{
    begin(PROXY_TUNNEL);
    struct front *front = front_start(way->port);
    close_poller();
    http_close(http);
    use("https", "u:p@", front->port, "", "");
    open_doors(NULL);
    const struct answer *answer = posted(web->url);
    assert_int_equal(answer->end, REPLY_UNTRUSTED);
    assert_false(answer->sent);
    assert_non_null(strstr(answer->why, "the proxy 127.0.0.1:"));
    answer = asked(web->url);
    assert_int_equal(answer->end, REPLY_UNTRUSTED);
    assert_non_null(strstr(answer->why, "the proxy 127.0.0.1:"));
    close_poller();
    http_close(http);
    http = NULL;
    front_stop(front);
}

/** The host's own certificate is the host's fault, tunnel or not. */
PROXY_TEST(a_host_that_nobody_vouches_for__is_told_as_the_host)
{
    struct h2_server *server = begin_secure();
    use("http", "", way->port, "", "");
    open_doors(NULL);
    const struct answer *answer = posted(server->url);
    assert_int_equal(answer->end, REPLY_UNTRUSTED);
    assert_false(answer->sent);
    assert_null(strstr(answer->why, "the proxy"));
    answer = asked(server->url);
    assert_int_equal(answer->end, REPLY_UNTRUSTED);
    assert_null(strstr(answer->why, "the proxy"));
    assert_false(asked_by_wire(server->url, false)->whole);
    assert_null(strstr(wired.why, "the proxy"));
    h2_server_stop(server);
}

/* ---- failures ---- */

static void assert_not_sent(const char *words)
{
    for (int door = 0; door < 2; door++) {
        const char *url = named("http", web->port, "/v1");
        const struct answer *answer = door ? asked(url) : posted(url);
        if (!strstr(answer->why, words) || strstr(answer->why, "secret")) {
            fail_msg("door %d: \"%s\" lacks \"%s\"", door, answer->why, words);
        }
        assert_false(answer->sent);
        assert_int_equal(answer->status, 0);
        assert_int_not_equal(answer->end, REPLY_WHOLE);
        assert_int_not_equal(answer->end, REPLY_BROKEN);
    }
    assert_int_equal(web->requests, 0);
}

PROXY_TEST(a_refusal__is_the_proxys__and_nothing_was_sent)
{
    static const char *const cases[][2] = {
        {REFUSES_407, "the user or password in PROXY_URL is missing"},
        {REFUSES_403, "doesn't lead to provider.invalid"},
        {REFUSES_502, "can't reach provider.invalid"},
        {"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
         "answers 302"},
        {"", "the proxy 127.0.0.1:"},
        {"nonsense\r\n\r\n", "the proxy 127.0.0.1:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(cases[i][0]);
        assert_not_sent(cases[i][1]);
        proxy_teardown(NULL);
        setup(NULL);
    }
}

PROXY_TEST(wrong_credentials__are_named__and_not_shown)
{
    begin(REFUSES_407);
    close_poller();
    http_close(http);
    use("http", "me:secret@", way->port, "", "");
    open_doors(NULL);
    assert_not_sent("the user or password in PROXY_URL is wrong");
}

PROXY_TEST(a_proxy_that_is_away__is_named)
{
    begin(PROXY_TUNNEL);
    close_poller();
    http_close(http);
    use("http", "me:secret@", web_free_port(), "", "");
    open_doors(NULL);
    assert_not_sent("the proxy 127.0.0.1:");
}

PROXY_TEST(a_proxy_that_never_answers__ends_as_not_sent)
{
    begin(PROXY_HOLD);
    const int64_t began_us = loop_boot_us(loop);
    assert_true(post(named("http", web->port, "/"), "{}", 300, answers));
    wait_for(1);
    assert_true(loop_boot_us(loop) - began_us < 9000000); /* of 10 s a dial */
    assert_int_equal(answers->end, REPLY_TIMED_OUT);
    assert_false(answers->sent);
    assert_non_null(strstr(answers->why, "the proxy 127.0.0.1:"));
}

/** Behind a tunnel that stood, silence is doubt as ever. */
PROXY_TEST(a_host_that_takes_the_request_and_dies__is_doubt)
{
    begin(PROXY_TUNNEL);
    web_stop(web);
    web = web_start(serve_nothing, NULL);
    const struct answer *answer = posted(named("http", web->port, "/v1"));
    assert_int_equal(answer->end, REPLY_BROKEN);
    assert_true(answer->sent);
    assert_int_equal(answer->status, 0);
    assert_int_equal(web->requests, 1);
}

/** A host's own 502 and 407 are the host's: answers, whole. */
PROXY_TEST(a_hosts_own_502__is_its_answer)
{
    static const char *const theirs[] = {REFUSES_502, REFUSES_407};
    static const int status[] = {502, 407};
    for (int i = 0; i < 2; i++) {
        begin(PROXY_TUNNEL);
        web_stop(web);
        web = web_start(serve_text, (void *)(uintptr_t)theirs[i]);
        const struct answer *answer = posted(named("http", web->port, "/v1"));
        assert_int_equal(answer->end, REPLY_WHOLE);
        assert_int_equal(answer->status, status[i]);
        assert_true(answer->sent);
        answer = asked(named("http", web->port, "/v1"));
        assert_int_equal(answer->status, status[i]);
        proxy_teardown(NULL);
        setup(NULL);
    }
}

/** Bytes before we said anything would be read as an answer to it. */
PROXY_TEST(bytes_behind_the_tunnels_answer__open_none)
{
    begin("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
          "{}");
    const struct answer *answer = asked(named("http", web->port, "/v1"));
    assert_int_equal(answer->end, REPLY_UNREACHED);
    assert_non_null(strstr(answer->why, "the proxy"));
}

/* ---- videos and S3 ---- */

static struct fetch_end fetched;
static char video[64];

static bool on_head(void *context, int status, int64_t length, struct str type)
{
    (void)context;
    (void)status;
    (void)length;
    (void)type;
    return true;
}

static bool on_data(void *context, const char *bytes, size_t len)
{
    (void)context;
    snprintf(video, sizeof video, "%.*s", (int)len, bytes);
    return true;
}

static void on_fetched(void *context, const struct fetch_end *end)
{
    (void)context;
    fetched = *end;
    loop_stop(loop);
}

static const struct fetch_hooks fetch_hooks = {
    .on_head = on_head, .on_data = on_data, .on_end = on_fetched};

static struct fetcher *fetcher_through(bool private)
{
    struct err err = {0};
    const struct fetcher_options options = {
        .allow_private = private, .bytes_max = 1000, .proxy = &proxy};
    return fetcher_open(loop, &options, &err);
}

PROXY_TEST(a_video__comes_through_the_proxy)
{
    struct err err = {0};
    begin(PROXY_TUNNEL);
    struct fetcher *fetcher = fetcher_through(true);
    assert_non_null(fetch_start(fetcher,
                                str_of(named("http", web->port, "/v.mp4")),
                                5000, 5000, &fetch_hooks, NULL, &err));
    loop_run(loop);
    assert_int_equal(fetched.end, REPLY_WHOLE);
    assert_int_equal(fetched.status, 200);
    assert_string_equal(video, "{}");
    assert_int_equal(tunnels, 1);
    way->context = (void *)(uintptr_t)REFUSES_403;
    assert_non_null(fetch_start(fetcher,
                                str_of(named("http", web->port + 1, "/v.mp4")),
                                5000, 5000, &fetch_hooks, NULL, &err));
    loop_run(loop);
    assert_int_equal(fetched.end, REPLY_UNREACHED);
    assert_false(fetched.forbidden);
    assert_int_equal(fetched.status, 0);
    assert_non_null(strstr(fetched.why, "its rules decide"));
    fetcher_close(fetcher);
}

/** What a URL writes as an address is judged all the same. */
PROXY_TEST(a_private_address_in_a_url__is_refused_before_the_proxy)
{
    static const char *const urls[] = {
        "https://10.0.0.1/v.mp4", "https://[::1]/v.mp4",
        "https://169.254.169.254/v.mp4", "https://127.1/v.mp4"};
    begin(PROXY_TUNNEL);
    struct fetcher *fetcher = fetcher_through(false);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct err err = {0};
        assert_null(fetch_start(fetcher, str_of(urls[i]), 5000, 5000,
                                &fetch_hooks, NULL, &err));
        assert_int_equal(err.kind, ERR_PERMANENT);
    }
    fetcher_close(fetcher);
    assert_int_equal(way->requests, 0);
}

PROXY_TEST(s3__goes_through_it__endpoints_of_this_machine_do_not)
{
    begin(PROXY_TUNNEL);
    for (int direct = 0; direct < 2; direct++) {
        assert_int_equal(asked_by_wire(web->url, direct)->status, 200);
        assert_int_equal(tunnels, 1);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
