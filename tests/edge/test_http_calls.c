/* wraps: curl_multi_init curl_easy_init curl_multi_add_handle */
/* wraps: curl_slist_append uv_poll_init_socket uv_poll_start */
#include "edge/calls.h"
#include "edge/http_trial.h"

#include <curl/curl.h>
#include <uv.h>

/*
 * Each call of libcurl's that needs memory, and those of libuv's that watch its
 * sockets, fails at each of some times, of a POST and of a GET: a reply comes
 * once or the start says why not, `sent` is never less than the truth, and the
 * next exchange works.
 */

/* clang-format off */
WRAP(CURLM *, curl_multi_init, NULL, (void), ())
WRAP(CURL *, curl_easy_init, NULL, (void), ())
WRAP(CURLMcode, curl_multi_add_handle, CURLM_OUT_OF_MEMORY,
     (CURLM *multi, CURL *easy), (multi, easy))
WRAP(struct curl_slist *, curl_slist_append, NULL,
     (struct curl_slist *list, const char *text), (list, text))
WRAP(int, uv_poll_init_socket, UV_EMFILE,
     (uv_loop_t *l, uv_poll_t *poll, uv_os_sock_t fd), (l, poll, fd))
WRAP(int, uv_poll_start, UV_EBADF, (uv_poll_t *poll, int events, uv_poll_cb fn),
     (poll, events, fn))
/* clang-format on */

static const char *const calls[] = {
    "curl_multi_init",   "curl_easy_init",      "curl_multi_add_handle",
    "curl_slist_append", "uv_poll_init_socket", "uv_poll_start",
};

#define TIMEOUT_MS 1000

static bool open_struck(void)
{
    struct err err = {0};
    const struct http_options options = {.connections_max = 4};
    http = http_open(loop, &options, &err);
    assert_true(http || (err.kind == ERR_FATAL && err.text[0]));
    return http != NULL;
}

/** One exchange; whether it began. */
static bool exchange(bool post, struct answer *answer)
{
    struct err err = {0};
    const struct exchange exchange = {
        .method = post ? EXCHANGE_POST : EXCHANGE_GET,
        .url = str_of(url_of("/")),
        .idempotency_key = post ? STR("key-1") : (struct str){0},
        .body = STR("{}"),
        .bearer = STR("secret"),
    };
    came = 0;
    memset(answer, 0, sizeof *answer);
    sending = true;
    bool began =
        http_send(http, &exchange, TIMEOUT_MS, NULL, on_reply, answer, &err);
    sending = false;
    if (!began) {
        assert_true(err.kind == ERR_TRANSIENT && err.text[0]);
        return false;
    }
    wait_for(1);
    assert_int_equal(answer->calls, 1);
    return true;
}

static bool one(const char *call, int nth, bool post)
{
    struct answer answer;
    int before = atomic_load(&web->requests);
    strike(call, nth);
    if (!open_struck()) {
        assert_true(struck());
        assert_true(open_struck());
    }
    for (int i = 0; i < 2; i++) {
        if (exchange(post, &answer) && answer.end != REPLY_WHOLE) {
            int arrived = atomic_load(&web->requests) - before - i;
            assert_true(answer.why[0]);
            assert_true(answer.sent || arrived <= 0);
        }
    }
    bool hit = struck();
    for (int i = 0; i < 2; i++) {
        assert_true(exchange(post, &answer));
        assert_int_equal(answer.end, REPLY_WHOLE);
    }
    assert_true(atomic_load(&web->requests) - before <= 4);
    http_close(http);
    http = NULL;
    return hit;
}

TEST(any_call_fails__one_reply_comes__and_the_next_works)
{
    web = web_start(serve_ok, NULL);
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
        for (int post = 0; post < 2; post++) {
            int hits = 0;
            while (hits < 8 && one(calls[c], hits + 1, post)) {
                hits++;
            }
            print_message("%s failed %d times\n", calls[c], hits);
            assert_true(hits > 0);
        }
    }
}

/** Its turn comes when another ends, outside http_send(). */
TEST(one_that_waited_fails_to_start__its_reply_comes)
{
    struct err err = {0};
    const struct http_options options = {.connections_max = 1};
    web = web_start(serve_ok, NULL);
    const struct exchange get = {.url = str_of(url_of("/"))};
    http = http_open(loop, &options, &err);
    assert_non_null(http);
    came = 0;
    strike("curl_multi_add_handle", 2);
    for (int i = 0; i < 2; i++) {
        assert_true(http_send(http, &get, TIMEOUT_MS, NULL, on_reply,
                              &answers[i], &err));
    }
    wait_for(2);
    assert_true(struck());
    assert_int_equal(answers[0].end, REPLY_WHOLE);
    assert_int_equal(answers[1].end, REPLY_CANCELLED);
    assert_false(answers[1].sent);
    http_close(http);
    http = NULL;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
