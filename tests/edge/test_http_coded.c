#include "edge/coded.h"
#include "edge/http_trial.h"

/*
 * Replies in a content coding, which nobody asked for: what they say is read
 * all the same, and what can't be read is said in words.
 */

struct coded_reply {
    const char *status; /* "200 OK" */
    const char *label;  /* null: none */
    struct coded body;
};

static bool serve_coded(struct web *w, int fd, const char *request, int number)
{
    const struct coded_reply *reply = w->context;
    char head[256];
    (void)request;
    (void)number;
    snprintf(head, sizeof head,
             "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%s%s%s"
             "Content-Length: %zu\r\n\r\n",
             reply->status, reply->label ? "Content-Encoding: " : "",
             reply->label ? reply->label : "", reply->label ? "\r\n" : "",
             reply->body.len);
    web_say(fd, head);
    return web_send(fd, reply->body.bytes, reply->body.len);
}

/* The server's thread may still hold one when its reply has come. */
static void *bodies[16];
static size_t bodies_len;

static int end_trial(void **state)
{
    const int result = teardown(state);
    while (bodies_len) {
        free(bodies[--bodies_len]);
    }
    return result;
}

static void ask(struct coded_reply *reply)
{
    if (!web) {
        web = web_start(serve_coded, NULL);
        open_http(4, NULL);
    }
    web->context = reply;
    bodies[bodies_len++] = reply->body.bytes;
    memset(answers, 0, sizeof *answers);
    came = 0;
    assert_true(get(url_of("/"), 5000, answers));
    wait_for(1);
}

TEST_CASE_WITH(http_send__coded_reply__comes_as_it_was_meant, setup, end_trial)
{
    const char *json = CODED_JSON;
    struct coded_reply replies[] = {
        {"200 OK", "gzip", coded_zlib(json, strlen(json), CODED_GZIP)},
        {"200 OK", NULL, coded_zlib(json, strlen(json), CODED_GZIP)},
        {"200 OK", "deflate", coded_zlib(json, strlen(json), CODED_ZLIB)},
        {"200 OK", "deflate", coded_zlib(json, strlen(json), CODED_DEFLATE)},
        {"200 OK", "br", coded_br()},
        {"200 OK", "zstd", coded_zstd(json, strlen(json))},
        {"402 Payment Required", "gzip",
         coded_zlib(json, strlen(json), CODED_GZIP)},
        {"200 OK", "utf-8", {strdup(json), strlen(json)}},
        {"200 OK", "gzip", {strdup(json), strlen(json)}},
        {"200 OK", "", {strdup(json), strlen(json)}},
    };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        ask(&replies[i]);
        assert_int_equal(answers->end, REPLY_WHOLE);
        assert_int_equal(answers->status, atoi(replies[i].status));
        assert_string_equal(answers->body, json);
        assert_string_equal(answers->why, "");
    }
}

TEST_CASE_WITH(http_send__unreadable_2xx__is_broken_and_says_so, setup,
               end_trial)
{
    struct coded_reply unknown = {
        "200 OK", "compress", {strdup("\x01\x02\x03"), 3}};
    ask(&unknown);
    assert_int_equal(answers->end, REPLY_BROKEN);
    assert_true(answers->sent);
    assert_non_null(strstr(answers->why, "\"compress\""));

    struct coded_reply foreign = {
        "200 OK", "\xff\x01\"a", {strdup("\x01\x02\x03"), 3}};
    ask(&foreign);
    assert_int_equal(answers->end, REPLY_BROKEN);
    assert_non_null(strstr(answers->why, "\"???a\""));

    struct coded_reply cut = {
        "200 OK", "gzip",
        coded_zlib(CODED_JSON, strlen(CODED_JSON), CODED_GZIP)};
    cut.body.len -= 9; /* the check sum is gone, the text is there */
    ask(&cut);
    assert_int_equal(answers->end, REPLY_BROKEN);
    assert_non_null(strstr(answers->why, "\"gzip\""));
}

TEST_CASE_WITH(http_send__unreadable_refusal__keeps_its_status, setup,
               end_trial)
{
    struct coded_reply unknown = {
        "429 Too Many Requests", "compress", {strdup("\x01\x02\x03"), 3}};
    ask(&unknown);
    assert_int_equal(answers->end, REPLY_WHOLE);
    assert_int_equal(answers->status, 429);
    assert_non_null(strstr(answers->why, "\"compress\""));
}

TEST_CASE_WITH(http_send__bomb__is_too_large, setup, end_trial)
{
    const size_t len = 64 << 20;
    char *zeros = calloc(1, len);
    struct coded_reply bomb = {"200 OK", "gzip",
                               coded_zlib(zeros, len, CODED_GZIP)};
    free(zeros);
    ask(&bomb);
    assert_int_equal(answers->end, REPLY_TOO_LARGE);
    assert_non_null(strstr(answers->why, "1048576 bytes"));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
