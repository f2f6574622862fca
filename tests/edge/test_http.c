#include "edge/http_trial.h"
#include "edge/tls.h"

/* ---- whole replies ---- */

TEST(http_send__post__sends_and_brings_all)
{
    web = web_start(serve_text,
                    "HTTP/1.1 429 Too Many\r\nRetry-After:  7 \r\n"
                    "Content-Type: application/json; charset=utf-8\r\n"
                    "Idempotency-Replayed: true\r\n"
                    "Content-Length: 13\r\n\r\n{\"error\":{}}\n");
    open_http(4, NULL);
    assert_true(post(url_of("/v1/x?a=1"), "{\"prompt\":\"x\"}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_WHOLE);
    assert_true(answers->sent);
    assert_int_equal(answers->status, 429);
    assert_string_equal(answers->retry_after, "7");
    assert_string_equal(answers->content_type,
                        "application/json; charset=utf-8");
    assert_true(answers->replayed);
    assert_string_equal(answers->body, "{\"error\":{}}\n");
    assert_non_null(strstr(web->last, "POST /v1/x?a=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(web->last, "\r\nAuthorization: Bearer secret\r\n"));
    assert_non_null(strstr(web->last, "\r\nIdempotency-Key: key-1\r\n"));
    assert_non_null(
        strstr(web->last, "\r\nContent-Type: application/json\r\n"));
    assert_null(strcasestr(web->last, "\r\nExpect:"));
    assert_non_null(strstr(web->last, "\r\nAccept-Encoding: identity\r\n"));
    assert_non_null(strstr(web->last, "\r\n\r\n{\"prompt\":\"x\"}"));
}

TEST(http_send__get_without_key__sends_neither_key_nor_body)
{
    web = web_start(serve_ok, NULL);
    open_http(4, NULL);
    const struct exchange exchange = {.method = EXCHANGE_GET,
                                      .url = str_of(url_of("/x"))};
    assert_true(send_it(&exchange, 5000, NULL, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_WHOLE);
    assert_int_equal(answers->status, 200);
    assert_string_equal(answers->retry_after, "");
    assert_false(answers->replayed);
    assert_null(strcasestr(web->last, "\r\nAuthorization:"));
    assert_null(strcasestr(web->last, "\r\nIdempotency-Key:"));
    assert_null(strcasestr(web->last, "\r\nContent-Length:"));
}

TEST(http_send__another_key_later__sends_that_one)
{
    web = web_start(serve_ok, NULL);
    open_http(4, NULL);
    assert_true(get(url_of("/x"), 5000, &answers[0]));
    wait_for(1);
    const struct exchange exchange = {.method = EXCHANGE_GET,
                                      .url = str_of(url_of("/x")),
                                      .bearer = STR("other")};
    assert_true(send_it(&exchange, 5000, NULL, &answers[1]));
    wait_for(2);
    assert_non_null(strstr(web->last, "\r\nAuthorization: Bearer other\r\n"));
    assert_null(strstr(web->last, "secret"));
}

TEST(http_send__exchange_changed_at_once__sends_the_copy)
{
    web = web_start(serve_ok, NULL);
    open_http(4, NULL);
    char body[] = "{\"n\":1}";
    char url[256];
    snprintf(url, sizeof url, "%s", url_of("/kept"));
    assert_true(post(url, body, 5000, answers));
    memset(body, 'x', sizeof body - 1);
    memset(url, 'x', sizeof url - 1);
    wait_for(1);
    assert_non_null(strstr(web->last, "POST /kept "));
    assert_non_null(strstr(web->last, "\r\n\r\n{\"n\":1}"));
}

TEST(http_send__redirect__is_the_reply)
{
    web = web_start(serve_text, "HTTP/1.1 302 Found\r\nLocation: /y\r\n"
                                "Content-Length: 0\r\n\r\n");
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_WHOLE);
    assert_int_equal(answers->status, 302);
    assert_int_equal(web->requests, 1);
}

static bool serve_slowly(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    for (const char *at = OK_JSON; *at; at++) {
        web_send(fd, at, 1);
        web_sleep_ms(3);
    }
    return true;
}

TEST(http_send__byte_by_byte__comes_whole)
{
    web = web_start(serve_slowly, NULL);
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 10000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_WHOLE);
    assert_string_equal(answers->body, "{}");
}

/* ---- each POST once ---- */

TEST(http_send__kept_connection_dies__one_post_only)
{
    static atomic_int posts;
    web = web_start(serve_then_die, &posts);
    open_http(8, NULL);
    for (int i = 0; i < 8; i++) {
        assert_true(post(url_of("/warm"), "{}", 5000, &answers[i]));
    }
    wait_for(8);
    assert_true(post(url_of("/pay"), "{}", 5000, &answers[8]));
    wait_for(9);
    assert_int_equal(answers[8].end, REPLY_BROKEN);
    assert_true(answers[8].sent);
    assert_int_equal(posts, 1);
    assert_int_equal(web->requests, 9);
    assert_true(answers[8].why[0] != '\0');
}

TEST(http_send__reset_instead_of_a_reply__one_post_only)
{
    web = web_start(serve_reset, NULL);
    open_http(8, NULL);
    assert_true(post(url_of("/pay"), "{}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_BROKEN);
    assert_true(answers->sent);
    assert_int_equal(web->requests, 1);
}

/* ---- nothing sent ---- */

TEST(http_send__nothing_listens__is_unreached_and_not_sent)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", web_free_port());
    open_http(4, NULL);
    assert_true(post(url, "{}", 5000, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_UNREACHED);
    assert_false(answers->sent);
    assert_int_equal(answers->status, 0);
}

TEST(http_send__no_such_host__is_unresolved_and_not_sent)
{
    open_http(4, NULL);
    assert_true(post("http://no-such-host.invalid/", "{}", 8000, answers));
    wait_for(1);
    /* Where no name server answers, the resolver's own patience decides. */
    assert_true(answers->end == REPLY_UNRESOLVED ||
                answers->end == REPLY_TIMED_OUT);
    assert_false(answers->sent);
}

static void *say_no_tls(void *context)
{
    int listener = *(int *)context;
    int fd = accept(listener, NULL, NULL);
    web_say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
    web_hold(fd);
    close(fd);
    return NULL;
}

TEST(http_send__server_without_tls__is_unreached_and_not_sent)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;
    char url[64];
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 4), 0);
    getsockname(listener, (struct sockaddr *)&address, &len);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", ntohs(address.sin_port));
    pthread_create(&thread, NULL, say_no_tls, &listener);
    open_http(4, NULL);
    assert_true(post(url, "{}", 5000, answers));
    wait_for(1);
    pthread_join(thread, NULL);
    close(listener);
    assert_int_equal(answers->end, REPLY_UNREACHED);
    assert_false(answers->sent);
}

static bool never(void *context)
{
    (void)context;
    return false;
}

TEST(http_send__may_send_says_no__nothing_leaves)
{
    web = web_start(serve_ok, NULL);
    open_http(4, NULL);
    const struct exchange exchange = {.method = EXCHANGE_POST,
                                      .url = str_of(url_of("/x")),
                                      .body = STR("{}")};
    assert_true(send_it(&exchange, 5000, never, answers));
    wait_for(1);
    assert_int_equal(answers->end, REPLY_CANCELLED);
    assert_false(answers->sent);
    assert_int_equal(web->requests, 0);
}

TEST(http_send__bad_urls_and_headers__are_refused)
{
    open_http(4, NULL);
    assert_false(get("ftp://127.0.0.1/", 1000, answers));
    assert_false(get("file:///etc/passwd", 1000, answers));
    assert_false(get("127.0.0.1", 1000, answers));
    assert_false(get("", 1000, answers));
    assert_false(get("http://127.0.0.1/a\r\nX: y", 1000, answers));
    struct exchange exchange = {.method = EXCHANGE_POST,
                                .url = STR("http://127.0.0.1:1/"),
                                .idempotency_key = STR("a\r\nX: y")};
    assert_false(send_it(&exchange, 1000, NULL, answers));
    exchange.idempotency_key = STR("a");
    exchange.bearer = STR("b\nX: y");
    assert_false(send_it(&exchange, 1000, NULL, answers));
    assert_int_equal(http_under_way(http), 0);
    assert_int_equal(came, 0);
}

TEST(http_send__proxy_in_the_environment__goes_straight)
{
    struct web *proxy = web_start(serve_ok, NULL);
    web = web_start(serve_ok, NULL);
    setenv("http_proxy", proxy->url, 1);
    setenv("ALL_PROXY", proxy->url, 1);
    open_http(4, NULL);
    assert_true(post(url_of("/x"), "{}", 5000, answers));
    wait_for(1);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    int proxied = proxy->connections;
    web_stop(proxy);
    assert_int_equal(answers->end, REPLY_WHOLE);
    assert_int_equal(proxied, 0);
    assert_int_equal(web->requests, 1);
}

/* ---- TLS ---- */

TEST(http_send__certificate_of_a_stranger__is_untrusted)
{
    struct tls tls = {0};
    char url[64];
    int port = web_free_port();
    if (!tls_start(&tls, "127.0.0.1", port, "-www")) {
        skip();
    }
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", port);
    open_http(4, NULL);
    assert_true(post(url, "{}", 5000, &answers[0]));
    wait_for(1);
    http_close(http);
    /* The same server is fine for one who trusts it. */
    open_http(4, tls.cert);
    assert_true(get(url, 5000, &answers[1]));
    assert_true(get(url, 5000, &answers[2]));
    wait_for(3);
    tls_stop(&tls);
    assert_int_equal(answers[0].end, REPLY_UNTRUSTED);
    assert_false(answers[0].sent);
    assert_int_equal(answers[1].end, REPLY_WHOLE);
    assert_int_equal(answers[1].status, 200);
    assert_int_equal(answers[2].end, REPLY_WHOLE);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
