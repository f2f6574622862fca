/* wraps: uv_loop_init uv_mutex_init uv_async_init */
/* wraps: MHD_start_daemon MHD_create_response_from_buffer MHD_queue_response */
#include "edge/admin.h"
#include "edge/calls.h"
#include "edge/web.h"

#include <microhttpd.h>
#include <uv.h>

#include "lib/check.h"

/*
 * What the loop and the probes' server are made of fails: neither begins, and
 * says so, or one probe stays without an answer and the next has one.
 */

/* clang-format off */
WRAP(int, uv_loop_init, UV_EMFILE, (uv_loop_t *uv), (uv))
WRAP(int, uv_mutex_init, UV_ENOMEM, (uv_mutex_t *mutex), (mutex))
WRAP(int, uv_async_init, UV_EMFILE,
     (uv_loop_t *uv, uv_async_t *async, uv_async_cb fn), (uv, async, fn))
WRAP(struct MHD_Response *, MHD_create_response_from_buffer, NULL,
     (size_t len, void *bytes, enum MHD_ResponseMemoryMode mode),
     (len, bytes, mode))
WRAP(enum MHD_Result, MHD_queue_response, MHD_NO,
     (struct MHD_Connection *connection, unsigned status,
      struct MHD_Response *response),
     (connection, status, response))
/* clang-format on */

struct MHD_Daemon *__wrap_MHD_start_daemon(unsigned flags, uint16_t port,
                                           MHD_AcceptPolicyCallback accept,
                                           void *accept_context,
                                           MHD_AccessHandlerCallback handle,
                                           void *context, ...);

struct MHD_Daemon *__wrap_MHD_start_daemon(unsigned flags, uint16_t port,
                                           MHD_AcceptPolicyCallback accept,
                                           void *accept_context,
                                           MHD_AccessHandlerCallback handle,
                                           void *context, ...)
{
    if (fails("MHD_start_daemon")) {
        return NULL;
    }
    va_list options;
    va_start(options, context);
    struct MHD_Daemon *daemon = MHD_start_daemon_va(
        flags, port, accept, accept_context, handle, context, options);
    va_end(options);
    return daemon;
}

TEST_CASE(loop_open__a_call_fails__says_so)
{
    static const char *const calls[] = {"uv_mutex_init", "uv_loop_init",
                                        "uv_async_init"};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct err err = {0};
        strike(calls[i], 1);
        assert_null(loop_open(&err));
        assert_true(struck());
        assert_int_equal(err.kind, ERR_FATAL);
        struct loop *loop = loop_open(&err);
        assert_non_null(loop);
        loop_close(loop);
    }
}

static void answer(void *context, struct str path, struct admin_answer *out)
{
    (void)context;
    (void)path;
    out->status = 200;
    out->content_type = "text/plain";
    buf_add_text(out->body, "ok\n");
}

struct probe {
    struct loop *loop;
    int port;
    ssize_t got;
    char reply[1000];
};

static void ask(void *context)
{
    struct probe *probe = context;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)probe->port)};
    static const char request[] = "GET /healthz HTTP/1.0\r\n\r\n";
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    probe->got = -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        write(fd, request, sizeof request - 1) > 0) {
        probe->got = read(fd, probe->reply, sizeof probe->reply);
    }
    close(fd);
}

static void asked(void *context)
{
    struct probe *probe = context;
    loop_stop(probe->loop);
}

static bool says(const struct probe *probe, const char *status)
{
    return probe->got > 12 && memcmp(probe->reply, "HTTP/1.", 7) == 0 &&
           memcmp(probe->reply + 8, status, 4) == 0;
}

/** Each loop has a second for its answer: one that came late is asked again. */
static bool is_answered(struct loop *loop, struct admin *admin)
{
    struct probe probe = {.loop = loop, .port = admin_port(admin)};
    for (int i = 0; i == 0 || (i < 10 && says(&probe, " 503")); i++) {
        loop_work(loop, ask, asked, &probe);
        loop_run(loop);
    }
    return says(&probe, " 200");
}

TEST_CASE(admin__a_call_fails__the_next_probe_is_answered)
{
    static const char *const calls[] = {"MHD_create_response_from_buffer",
                                        "MHD_queue_response"};
    struct err err = {0};
    struct loop *loop = loop_open(&err);
    strike("MHD_start_daemon", 1);
    assert_null(admin_open(loop, "127.0.0.1:0", answer, NULL, &err));
    assert_true(struck());
    assert_int_equal(err.kind, ERR_FATAL);
    struct admin *admin = admin_open(loop, "127.0.0.1:0", answer, NULL, &err);
    assert_non_null(admin);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        strike(calls[i], 1);
        assert_false(is_answered(loop, admin));
        assert_true(struck());
        assert_true(is_answered(loop, admin));
    }
    admin_close(admin);
    loop_close(loop);
}

TESTS_RUN(NULL, NULL)
