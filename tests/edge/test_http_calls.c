/* wraps: calloc realloc malloc uv_poll_init_socket uv_poll_start socket */
/* wraps: connect heap_reserve */
#include "edge/calls.h"
#include "edge/http_trial.h"

#include "base/heap.h"

#include <errno.h>
#include <uv.h>

/*
 * Each call that needs memory or a descriptor, and those of libuv's that watch
 * sockets, fails at each of some times, of a POST and of a GET: a reply comes
 * once or the start says why not, `sent` is never less than the truth, and the
 * next exchange works.
 */

/* clang-format off */
WRAP(void *, calloc, NULL, (size_t n, size_t size), (n, size))
WRAP(void *, malloc, NULL, (size_t size), (size))
WRAP(void *, realloc, NULL, (void *old, size_t size), (old, size))
WRAP(int, uv_poll_init_socket, UV_EMFILE,
     (uv_loop_t *l, uv_poll_t *poll, uv_os_sock_t fd), (l, poll, fd))
WRAP(int, uv_poll_start, UV_EBADF, (uv_poll_t *poll, int events, uv_poll_cb fn),
     (poll, events, fn))
WRAP(int, socket, (errno = EMFILE, -1), (int family, int type, int protocol),
     (family, type, protocol))
WRAP(int, connect, (errno = ENETUNREACH, -1),
     (int fd, const struct sockaddr *address, socklen_t len),
     (fd, address, len))
WRAP(bool, heap_reserve, false, (struct heap *heap, size_t entries),
     (heap, entries))
/* clang-format on */

static const char *const calls[] = {
    "calloc",        "malloc", "realloc", "uv_poll_init_socket",
    "uv_poll_start", "socket", "connect", "heap_reserve",
};

/* Each of the times asks for a path of its own: a request that was given up may
 * be counted when the next time has begun. */
#define TIMES_MAX 256
static int time_now;
static atomic_int arrived[TIMES_MAX];

static bool serve_counted(struct web *w, int fd, const char *request,
                          int number)
{
    (void)w;
    (void)number;
    arrived[atoi(strchr(request, '/') + 1) % TIMES_MAX]++;
    return web_say(fd, OK_JSON);
}

/* While something fails, and when all must work: on a busy machine, too. */
#define STRUCK_MS 1000
#define WELL_MS 10000

static bool open_struck(void)
{
    struct err err = {0};
    const struct http_options options = {.connections_max = 4};
    http = http_open(loop, &options, &err);
    assert_true(http || (err.kind == ERR_FATAL && err.text[0]));
    return http != NULL;
}

/** One exchange; whether it began. */
static bool exchange(bool post, int64_t timeout_ms, struct answer *answer)
{
    struct err err = {0};
    char path[16];
    snprintf(path, sizeof path, "/%d", time_now);
    const struct exchange exchange = {
        .method = post ? EXCHANGE_POST : EXCHANGE_GET,
        .url = str_of(url_of(path)),
        .idempotency_key = post ? STR("key-1") : (struct str){0},
        .body = STR("{}"),
        .bearer = STR("secret"),
    };
    came = 0;
    memset(answer, 0, sizeof *answer);
    sending = true;
    bool began =
        http_send(http, &exchange, timeout_ms, NULL, on_reply, answer, &err);
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
    assert_true(++time_now < TIMES_MAX);
    strike(call, nth);
    if (!open_struck()) {
        assert_true(struck());
        assert_true(open_struck());
    }
    for (int i = 0; i < 2; i++) {
        if (exchange(post, STRUCK_MS, &answer) && answer.end != REPLY_WHOLE) {
            assert_true(answer.why[0]);
            assert_true(answer.sent || arrived[time_now] - i <= 0);
        }
    }
    bool hit = struck();
    for (int i = 0; i < 2; i++) {
        assert_true(exchange(post, WELL_MS, &answer));
        assert_int_equal(answer.end, REPLY_WHOLE);
    }
    assert_true(arrived[time_now] <= 4);
    http_close(http);
    http = NULL;
    return hit;
}

TEST(any_call_fails__one_reply_comes__and_the_next_works)
{
    web = web_start(serve_counted, NULL);
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

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
