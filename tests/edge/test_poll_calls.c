/* tests/run: raced */
/* wraps: calloc malloc uv_poll_init_socket uv_poll_start socket connect */
/* wraps: pthread_create SSL_CTX_new SSL_new nghttp2_session_client_new3 */
/* wraps: nghttp2_submit_request nghttp2_submit_settings heap_reserve */
#include "edge/calls.h"
#include "edge/h2_server.h"
#include "edge/poll_trial.h"

#include "base/heap.h"

#include <errno.h>
#include <uv.h>

/*
 * Each call that needs memory or a descriptor fails at each of some times: a
 * reply comes once or the start says why not, and the next exchange works.
 */

/* clang-format off */
WRAP(void *, calloc, NULL, (size_t n, size_t size), (n, size))
WRAP(void *, malloc, NULL, (size_t size), (size))
WRAP(int, uv_poll_init_socket, UV_EMFILE,
     (uv_loop_t *l, uv_poll_t *poll, uv_os_sock_t fd), (l, poll, fd))
WRAP(int, uv_poll_start, UV_EBADF, (uv_poll_t *poll, int events, uv_poll_cb fn),
     (poll, events, fn))
WRAP(int, socket, (errno = EMFILE, -1), (int family, int type, int protocol),
     (family, type, protocol))
WRAP(int, connect, (errno = ENETUNREACH, -1),
     (int fd, const struct sockaddr *address, socklen_t len),
     (fd, address, len))
WRAP(int, pthread_create, EAGAIN,
     (pthread_t *thread, const pthread_attr_t *attributes,
      void *(*run)(void *), void *context), (thread, attributes, run, context))
WRAP(SSL_CTX *, SSL_CTX_new, NULL, (const SSL_METHOD *method), (method))
WRAP(SSL *, SSL_new, NULL, (SSL_CTX *ctx), (ctx))
WRAP(int, nghttp2_session_client_new3, NGHTTP2_ERR_NOMEM,
     (nghttp2_session **session, const nghttp2_session_callbacks *callbacks,
      void *context, const nghttp2_option *option,
      nghttp2_mem *mem),
     (session, callbacks, context, option, mem))
WRAP(int32_t, nghttp2_submit_request, NGHTTP2_ERR_NOMEM,
     (nghttp2_session *session, const nghttp2_priority_spec *priority,
      const nghttp2_nv *headers, size_t len,
      const nghttp2_data_provider *body, void *data),
     (session, priority, headers, len, body, data))
WRAP(int, nghttp2_submit_settings, NGHTTP2_ERR_NOMEM,
     (nghttp2_session *session, uint8_t flags,
      const nghttp2_settings_entry *settings, size_t len),
     (session, flags, settings, len))
WRAP(bool, heap_reserve, false, (struct heap *heap, size_t entries),
     (heap, entries))
/* clang-format on */

static const char *ca;

static bool open_struck(void)
{
    struct err err = {0};
    const struct poller_options options = {.connections_max = 4, .ca_file = ca};
    poller = poller_open(loop, &options, &err);
    assert_true(poller || (err.kind == ERR_FATAL && err.text[0]));
    return poller != NULL;
}

/* While something fails, and when all must work: on a busy machine, too. */
#define STRUCK_MS 1000
#define WELL_MS 10000

/** So many at once; how many began and were not whole. */
static int ask_some(const char *url, int n, int64_t timeout_ms)
{
    const struct exchange get = {.url = str_of(url), .bearer = STR("k")};
    struct err err = {0};
    int began = 0;
    int bad = 0;
    came = 0;
    memset(answers, 0, sizeof answers);
    for (int i = 0; i < n; i++) {
        const bool begins = poller_send(poller, &get, timeout_ms, NULL,
                                        on_reply, &answers[began], &err);
        assert_true(begins || (err.kind == ERR_TRANSIENT && err.text[0]));
        began += begins;
    }
    if (began) {
        wait_for(began);
    }
    for (int i = 0; i < began; i++) {
        assert_int_equal(answers[i].calls, 1);
        assert_true(answers[i].end == REPLY_WHOLE || answers[i].why[0]);
        bad += answers[i].end != REPLY_WHOLE;
    }
    return bad;
}

/** Whether the n-th such call came. */
static bool one(const char *call, int nth, const char *url)
{
    strike(call, nth);
    if (!open_struck()) {
        assert_true(struck());
        assert_true(open_struck());
    }
    (void)ask_some(url, 5, STRUCK_MS);
    const bool hit = struck();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask_some(url, 5, WELL_MS), 0);
    }
    close_poller();
    return hit;
}

static void each(const char *const *calls, size_t len, const char *url)
{
    for (size_t i = 0; i < len; i++) {
        int hits = 0;
        while (hits < 8 && one(calls[i], hits + 1, url)) {
            hits++;
        }
        print_message("%s failed %d times\n", calls[i], hits);
        assert_true(hits > 0);
    }
}

#define EACH(calls, url) each(calls, sizeof(calls) / sizeof *(calls), url)

POLL_TEST(any_call_fails__one_reply_comes__and_the_next_works)
{
    static const char *const calls[] = {
        "calloc", "malloc",  "uv_poll_init_socket", "uv_poll_start",
        "socket", "connect", "heap_reserve",
    };
    web = web_start(serve_ok, NULL);
    ca = NULL;
    EACH(calls, web->url);
}

POLL_TEST(any_call_of_tls_and_http2_fails__the_next_works)
{
    static const char *const calls[] = {
        "SSL_CTX_new",
        "SSL_new",
        "nghttp2_session_client_new3",
        "nghttp2_submit_settings",
        "nghttp2_submit_request",
    };
    struct h2_server *server = h2_server_start(0);
    ca = server->tls.cert;
    EACH(calls, server->url);
    h2_server_stop(server);
}

/** No thread to ask for a name in. */
POLL_TEST(no_thread__it_is_unresolved)
{
    char url[64];
    web = web_start(serve_ok, NULL);
    snprintf(url, sizeof url, "http://localhost:%d/", web->port);
    ca = NULL;
    assert_true(open_struck());
    strike("pthread_create", 1);
    assert_int_equal(ask_some(url, 2, STRUCK_MS), 2);
    assert_true(struck());
    assert_int_equal(answers[0].end, REPLY_UNRESOLVED);
    assert_int_equal(ask_some(url, 2, WELL_MS), 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
