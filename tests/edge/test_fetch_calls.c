/* wraps: curl_multi_init curl_easy_init curl_multi_add_handle curl_url */
/* wraps: uv_poll_init_socket uv_poll_start */
#include "edge/calls.h"
#include "edge/fetch_trial.h"

#include <curl/curl.h>
#include <uv.h>

/*
 * Each call of libcurl's that needs memory, and those of libuv's that watch its
 * sockets, fails at each of some times: a download ends once or its start says
 * why not, and the next one comes whole.
 */

/* clang-format off */
WRAP(CURLM *, curl_multi_init, NULL, (void), ())
WRAP(CURL *, curl_easy_init, NULL, (void), ())
WRAP(CURLU *, curl_url, NULL, (void), ())
WRAP(CURLMcode, curl_multi_add_handle, CURLM_OUT_OF_MEMORY,
     (CURLM *multi, CURL *easy), (multi, easy))
WRAP(int, uv_poll_init_socket, UV_EMFILE,
     (uv_loop_t *l, uv_poll_t *poll, uv_os_sock_t fd), (l, poll, fd))
WRAP(int, uv_poll_start, UV_EBADF, (uv_poll_t *poll, int events, uv_poll_cb fn),
     (poll, events, fn))
/* clang-format on */

static const char *const calls[] = {
    "curl_multi_init",       "curl_easy_init",      "curl_url",
    "curl_multi_add_handle", "uv_poll_init_socket", "uv_poll_start",
};

static struct web *web;

static int teardown(void **state)
{
    (void)state;
    close_fetcher();
    if (web) {
        web_stop(web);
        web = NULL;
    }
    loop_close(loop);
    return 0;
}

/** A redirect first, so that a download is started twice. */
static bool serve(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)number;
    web_say(fd, strstr(request, " /there ")
                    ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nvideo"
                    : "HTTP/1.1 302 Found\r\nLocation: /there\r\n"
                      "Content-Length: 0\r\n\r\n");
    return false;
}

static bool open_struck(void)
{
    struct err err = {0};
    const struct fetcher_options options = {.allow_private = true,
                                            .bytes_max = MIB};
    fetcher = fetcher_open(loop, &options, &err);
    assert_true(fetcher || (err.kind == ERR_FATAL && err.text[0]));
    return fetcher != NULL;
}

/* While something fails, and when all must work: on a busy machine, too. */
#define STRUCK_MS 1000
#define WELL_MS 10000

/** One download; whether it began. */
static bool download(struct seen *seen, int64_t patience_ms)
{
    char url[256];
    struct err err = {0};
    *seen = (struct seen){0};
    ended = 0;
    snprintf(url, sizeof url, "%s/", web->url);
    seen->fetch = fetch_start(fetcher, str_of(url), patience_ms, patience_ms,
                              &hooks, seen, &err);
    if (!seen->fetch) {
        assert_true(err.text[0]);
        assert_int_equal(err.kind, ERR_TRANSIENT);
        return false;
    }
    wait_for(1);
    assert_int_equal(seen->ends, 1);
    return true;
}

static bool one(const char *call, int nth)
{
    struct seen seen;
    strike(call, nth);
    if (!open_struck()) {
        assert_true(struck());
        assert_true(open_struck());
    }
    if (download(&seen, STRUCK_MS) && seen.end.end != REPLY_WHOLE) {
        assert_true(seen.end.why[0]);
        assert_false(seen.end.forbidden); /* it is none of the host's doing */
        assert_int_equal(seen.end.status, 0);
    }
    bool hit = struck();
    assert_true(download(&seen, WELL_MS));
    assert_int_equal(seen.end.end, REPLY_WHOLE);
    assert_int_equal(seen.bytes, 5);
    close_fetcher();
    return hit;
}

TEST(any_call_fails__one_end_comes__and_the_next_is_whole)
{
    web = web_start(serve, NULL);
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
        int hits = 0;
        while (hits < 8 && one(calls[c], hits + 1)) {
            hits++;
        }
        print_message("%s failed %d times\n", calls[c], hits);
        assert_true(hits > 0);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
