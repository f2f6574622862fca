#include "edge/admin.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_MAX 64u
#define CONNECTION_TIMEOUT_S 10u
#define CONNECTION_BYTES                                                       \
    ((size_t)32 * 1024) /* of request headers, all in all */
#define WAIT_S 1
#define THREADS 2u
#define ANSWER_BYTES_MAX ((size_t)4 << 20)

struct admin {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    admin_fn *answer;
    void *context;
    pthread_mutex_t lock;
    bool closing; /* under lock: questions are no longer put */
};

/** Shared by the thread that asks and the loop that answers; the last frees it.
 */
struct question {
    struct admin *admin;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    int holders;
    bool done;
    char path[64];
    struct admin_answer answer;
    struct buf body;
};

/* ---- the question -------------------------------------------------------- */

static struct question *question_new(struct admin *admin, const char *path)
{
    struct question *q = calloc(1, sizeof *q);
    if (q) {
        q->admin = admin;
        q->holders = 2;
        pthread_mutex_init(&q->lock, NULL);
        pthread_cond_init(&q->answered, NULL);
        snprintf(q->path, sizeof q->path, "%s", path);
        buf_init(&q->body, ANSWER_BYTES_MAX);
        q->answer.body = &q->body;
    }
    return q;
}

static void question_drop(struct question *q)
{
    pthread_mutex_lock(&q->lock);
    bool last = --q->holders == 0;
    pthread_mutex_unlock(&q->lock);
    if (last) {
        buf_done(&q->body);
        pthread_mutex_destroy(&q->lock);
        pthread_cond_destroy(&q->answered);
        free(q);
    }
}

/** On the loop thread. Whoever gave up waiting has left q->admin untouched. */
static void answer_question(void *context)
{
    struct question *q = context;
    pthread_mutex_lock(&q->lock);
    bool wanted = q->holders == 2;
    pthread_mutex_unlock(&q->lock);
    if (wanted) {
        struct admin_answer answer = {.body = &q->body};
        q->admin->answer(q->admin->context, str_of(q->path), &answer);
        pthread_mutex_lock(&q->lock);
        q->answer = answer;
        q->done = true;
        pthread_cond_signal(&q->answered);
        pthread_mutex_unlock(&q->lock);
    }
    question_drop(q);
}

static bool wait_for_answer(struct question *q)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&q->lock);
    int late = 0;
    while (!q->done && late == 0) {
        late = pthread_cond_timedwait(&q->answered, &q->lock, &until);
    }
    bool done = q->done;
    pthread_mutex_unlock(&q->lock);
    return done;
}

/* ---- the server's threads ------------------------------------------------ */

static enum MHD_Result respond(struct MHD_Connection *connection, int status,
                               const char *content_type, struct str body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.len, (void *)(uintptr_t)body.at, MHD_RESPMEM_MUST_COPY);
    if (!response) {
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", content_type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    enum MHD_Result result =
        MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result respond_text(struct MHD_Connection *connection,
                                    int status, struct str text)
{
    return respond(connection, status, "text/plain; charset=utf-8", text);
}

static enum MHD_Result ask(struct admin *admin,
                           struct MHD_Connection *connection, const char *path)
{
    pthread_mutex_lock(&admin->lock);
    struct question *q = admin->closing ? NULL : question_new(admin, path);
    if (q) {
        loop_post(admin->loop, answer_question, q);
    }
    pthread_mutex_unlock(&admin->lock);
    if (!q) {
        return respond_text(connection, 503, STR("stopping\n"));
    }
    enum MHD_Result result;
    if (!wait_for_answer(q)) {
        result =
            respond_text(connection, 503, STR("the loop does not answer\n"));
    } else if (q->answer.status == 0) {
        result = respond_text(connection, 404,
                              STR("not found; there are /healthz /readyz "
                                  "/metrics /scale\n"));
    } else {
        result = respond(connection, q->answer.status, q->answer.content_type,
                         buf_str(&q->body));
    }
    question_drop(q);
    return result;
}

static enum MHD_Result on_request(void *context,
                                  struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_len, void **state)
{
    static char begun;
    (void)version;
    (void)upload;
    if (!*state) {
        *state = &begun;
        return MHD_YES;
    }
    if (*upload_len) {
        *upload_len = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        return respond_text(connection, 405, STR("only GET and HEAD\n"));
    }
    return ask(context, connection, url);
}

/* ---- the door ------------------------------------------------------------ */

static bool resolve(const char *listen, struct sockaddr_storage *address,
                    struct err *err)
{
    char host[256];
    const char *colon = strrchr(listen, ':');
    if (!colon || (size_t)(colon - listen) >= sizeof host) {
        return err_set(err, ERR_FATAL, "\"%s\" is not host:port", listen);
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - listen), listen);
    char *name = host;
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        name++;
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(name[0] ? name : NULL, colon + 1, &hints, &found);
    if (code != 0) {
        return err_set(err, ERR_FATAL, "\"%s\": %s", listen,
                       gai_strerror(code));
    }
    memcpy(address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

struct admin *admin_open(struct loop *loop, const char *listen,
                         admin_fn *answer, void *context, struct err *err)
{
    struct sockaddr_storage address = {0};
    if (!resolve(listen, &address, err)) {
        return NULL;
    }
    struct admin *admin = calloc(1, sizeof *admin);
    if (!admin) {
        err_set(err, ERR_FATAL, "no memory for the admin server");
        return NULL;
    }
    *admin = (struct admin){.loop = loop, .answer = answer, .context = context};
    pthread_mutex_init(&admin->lock, NULL);
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD;
    flags |= address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0;
    admin->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, admin, MHD_OPTION_SOCK_ADDR, &address,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
        MHD_OPTION_THREAD_POOL_SIZE, THREADS, MHD_OPTION_END);
    if (!admin->daemon) {
        err_set(err, ERR_FATAL, "can't listen on ADMIN_LISTEN=%s", listen);
        pthread_mutex_destroy(&admin->lock);
        free(admin);
        return NULL;
    }
    return admin;
}

int admin_port(const struct admin *admin)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

void admin_close(struct admin *admin)
{
    pthread_mutex_lock(&admin->lock);
    admin->closing = true;
    pthread_mutex_unlock(&admin->lock);
    /* Waits for its threads: each waits for the loop at most a second. What
     * they asked and nobody wants any more is let go by loop_post's queue. */
    MHD_stop_daemon(admin->daemon);
    pthread_mutex_destroy(&admin->lock);
    free(admin);
}
