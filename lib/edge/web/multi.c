#include "edge/web/multi.h"

#include "edge/loop/uv.h"

#include <assert.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS 1000
#define MISSED_MAX 32 /* more than that end by their clocks */
#define MISSED_MS 20  /* until they are tried again */
#define UNACKNOWLEDGED_MS 60000u

/** A socket that libcurl wants watched, and for which there was no memory. */
struct missed {
    curl_socket_t fd;
    int what;                 /* CURL_POLL_IN and the like */
    struct socket_poll *poll; /* null: none could be made */
};

struct web_multi {
    CURLM *multi;
    struct loop *loop;
    struct loop_timer *timer;
    struct loop_timer *tick;
    web_multi_fn *on_done;
    void *context;
    struct missed missed[MISSED_MAX];
    size_t missed_len;
};

struct socket_poll {
    uv_poll_t uv;
    struct web_multi *curl;
    curl_socket_t fd;
    int wanted;   /* UV_READABLE and the like */
    int watching; /* what libuv was told */
};

/* ---- libcurl asks ---- */

static void act(struct web_multi *curl, curl_socket_t fd, int events)
{
    assert(curl->on_done);
    int running;
    curl_multi_socket_action(curl->multi, fd, events, &running);
    web_multi_look(curl);
}

/* ---- sockets that could not be watched ---- */

static void unmiss(struct web_multi *curl, curl_socket_t fd)
{
    for (size_t i = 0; i < curl->missed_len; i++) {
        if (curl->missed[i].fd == fd) {
            curl->missed[i] = curl->missed[--curl->missed_len];
            return;
        }
    }
}

/** An error to libcurl would end every transfer, and silence would let this one
 * wait for its clock, a minute: it is tried again. */
static void miss(struct web_multi *curl, curl_socket_t fd, int what,
                 struct socket_poll *poll)
{
    assert(what != CURL_POLL_REMOVE);
    unmiss(curl, fd);
    if (curl->missed_len < MISSED_MAX) {
        curl->missed[curl->missed_len++] = (struct missed){fd, what, poll};
        loop_timer_set(curl->tick, MISSED_MS);
    }
}

/* ---- sockets ---- */

static void watch(struct socket_poll *poll, int events);

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct socket_poll *poll = uv->data;
    assert(poll->curl && poll->fd >= 0);
    if (status < 0) {
        poll->watching = 0; /* libuv has stopped by itself */
    }
    /* Of a connection that was reset, too, libcurl shall read what there is: a
     * reply may have come before the reset. Told of an error, it gives up. */
    int seen = status < 0 ? poll->wanted : events;
    int flags = 0;
    flags |= seen & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= seen & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    act(poll->curl, poll->fd, flags);
    if (!uv_is_closing((uv_handle_t *)uv)) {
        watch(poll, poll->wanted);
    }
}

static void watch(struct socket_poll *poll, int events)
{
    if (events == poll->watching) {
        return;
    }
    poll->watching = events;
    if (!events) {
        uv_poll_stop(&poll->uv);
    } else if (uv_poll_start(&poll->uv, events, on_poll) != 0) {
        poll->watching = 0;
        miss(poll->curl, poll->fd,
             events == UV_READABLE   ? CURL_POLL_IN
             : events == UV_WRITABLE ? CURL_POLL_OUT
                                     : CURL_POLL_INOUT,
             poll);
    }
}

static struct socket_poll *poll_new(struct web_multi *curl, curl_socket_t fd)
{
    assert(fd >= 0);
    struct socket_poll *poll = calloc(1, sizeof *poll);
    if (!poll || uv_poll_init_socket(loop_uv(curl->loop), &poll->uv, fd) != 0) {
        free(poll);
        return NULL;
    }
    poll->curl = curl;
    poll->fd = fd;
    poll->uv.data = poll;
    return poll;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void poll_close(struct socket_poll *poll)
{
    uv_poll_stop(&poll->uv);
    uv_close((uv_handle_t *)&poll->uv, on_poll_closed);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context,
                     void *socket_context)
{
    struct web_multi *curl = context;
    struct socket_poll *poll = socket_context;
    (void)easy;
    unmiss(curl, fd);
    if (what == CURL_POLL_REMOVE) {
        if (poll) {
            poll_close(poll);
            curl_multi_assign(curl->multi, fd, NULL);
        }
        return 0;
    }
    if (!poll) {
        poll = poll_new(curl, fd);
        if (!poll) {
            miss(curl, fd, what, NULL);
            return 0;
        }
        curl_multi_assign(curl->multi, fd, poll);
    }
    poll->wanted = 0;
    poll->wanted |= what != CURL_POLL_OUT ? UV_READABLE : 0;
    poll->wanted |= what != CURL_POLL_IN ? UV_WRITABLE : 0;
    watch(poll, poll->wanted);
    return 0;
}

int web_multi_socket(int family, int type, int protocol)
{
    assert(family && type);
    const unsigned wait_ms = UNACKNOWLEDGED_MS;
    const int fd = socket(family, type | SOCK_CLOEXEC, protocol);
    if (fd >= 0) {
        /* Where the kernel doesn't know it, the doors' own clocks do. */
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &wait_ms, sizeof wait_ms);
    }
    return fd;
}

static int on_timeout(CURLM *multi, long wait_ms, void *context)
{
    struct web_multi *curl = context;
    (void)multi;
    if (wait_ms < 0) {
        loop_timer_stop(curl->timer);
    } else {
        loop_timer_set(curl->timer, wait_ms);
    }
    return 0;
}

/* ---- the loop tells ---- */

static void on_timer(void *context)
{
    act(context, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl before 8.12 sometimes forgets to set its timer again (4cded6deac);
 * drop this once Debian 12 and 13 are past it. */
static void on_tick(void *context)
{
    struct web_multi *curl = context;
    struct missed missed[MISSED_MAX];
    const size_t len = curl->missed_len;
    assert(len <= MISSED_MAX);
    memcpy(missed, curl->missed, sizeof missed);
    loop_timer_set(curl->tick, TICK_MS);
    for (size_t i = 0; i < len; i++) {
        on_socket(NULL, missed[i].fd, missed[i].what, curl, missed[i].poll);
    }
    act(curl, CURL_SOCKET_TIMEOUT, 0);
}

void web_multi_look(struct web_multi *curl)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(curl->multi, &left))) {
        if (message->msg == CURLMSG_DONE) {
            CURL *easy = message->easy_handle;
            CURLcode code = message->data.result;
            curl_multi_remove_handle(curl->multi, easy);
            curl->on_done(curl->context, easy, (int)code);
        }
    }
}

bool web_multi_add(struct web_multi *curl, void *easy)
{
    assert(easy);
    return curl_multi_add_handle(curl->multi, easy) == CURLM_OK;
}

void web_multi_remove(struct web_multi *curl, void *easy)
{
    assert(easy);
    curl_multi_remove_handle(curl->multi, easy);
}

static void init_library(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct web_multi *web_multi_open(struct loop *loop, int connections_max,
                                 web_multi_fn *on_done, void *context,
                                 struct err *err)
{
    assert(connections_max >= 1 && on_done);
    static pthread_once_t global = PTHREAD_ONCE_INIT;
    /* Kafka's threads have loops of their own. */
    pthread_once(&global, init_library);
    struct web_multi *curl = calloc(1, sizeof *curl);
    if (curl) {
        *curl = (struct web_multi){
            .multi = curl_multi_init(),
            .loop = loop,
            .timer = loop_timer_new(loop, on_timer, curl),
            .tick = loop_timer_new(loop, on_tick, curl),
            .on_done = on_done,
            .context = context,
        };
    }
    if (!curl || !curl->multi || !curl->timer || !curl->tick) {
        web_multi_close(curl);
        err_set(err, ERR_FATAL, "no memory for HTTP");
        return NULL;
    }
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
    curl_multi_setopt(curl->multi, CURLMOPT_MAXCONNECTS, (long)connections_max);
    curl_multi_setopt(curl->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                      (long)connections_max);
    curl_multi_setopt(curl->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      (long)connections_max);
    loop_timer_set(curl->tick, TICK_MS);
    return curl;
}

void web_multi_close(struct web_multi *curl)
{
    if (curl) {
        curl_multi_cleanup(curl->multi); /* closes sockets */
        loop_timer_free(curl->timer);
        loop_timer_free(curl->tick);
    }
    free(curl);
}
