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
#define ANSWER_BYTES_MAX ((size_t)4 << 20)

/** Outlives admin_close() while a question of it is still in the loop's queue.
 */
struct admin {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    admin_fn *answer;
    void *context;
    pthread_mutex_t lock;    /* of what follows, and of every question */
    pthread_cond_t answered; /* some question, or nobody will be */
    int holders;             /* its owner, and each question in the queue */
    bool closing;
};

/** Shared by the thread that asks and the loop that answers; the last frees it.
 */
struct question {
    struct admin *admin;
    int holders;
    bool done; /* from now on the loop leaves it alone */
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
        snprintf(q->path, sizeof q->path, "%s", path);
        buf_init(&q->body, ANSWER_BYTES_MAX);
    }
    return q;
}

static void question_drop(struct question *q)
{
    pthread_mutex_lock(&q->admin->lock);
    bool last = --q->holders == 0;
    pthread_mutex_unlock(&q->admin->lock);
    if (last) {
        buf_done(&q->body);
        free(q);
    }
}

static void admin_drop(struct admin *admin)
{
    pthread_mutex_lock(&admin->lock);
    bool last = --admin->holders == 0;
    pthread_mutex_unlock(&admin->lock);
    if (last) {
        pthread_cond_destroy(&admin->answered);
        pthread_mutex_destroy(&admin->lock);
        free(admin);
    }
}

/** On the loop thread. */
static void answer_question(void *context)
{
    struct question *q = context;
    struct admin *admin = q->admin;
    pthread_mutex_lock(&admin->lock);
    bool wanted = q->holders == 2 && !admin->closing;
    pthread_mutex_unlock(&admin->lock);
    if (wanted) {
        struct admin_answer answer = {.body = &q->body};
        admin->answer(admin->context, str_of(q->path), &answer);
        pthread_mutex_lock(&admin->lock);
        q->answer = answer;
        q->done = true;
        pthread_cond_broadcast(&admin->answered);
        pthread_mutex_unlock(&admin->lock);
    }
    question_drop(q);
    admin_drop(admin);
}

/** Puts it to the loop; null: nobody will answer. */
static struct question *put_question(struct admin *admin, const char *path)
{
    pthread_mutex_lock(&admin->lock);
    struct question *q = admin->closing ? NULL : question_new(admin, path);
    if (q) {
        admin->holders++;
        loop_post(admin->loop, answer_question, q);
    }
    pthread_mutex_unlock(&admin->lock);
    return q;
}

static bool wait_for_answer(struct question *q)
{
    struct admin *admin = q->admin;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&admin->lock);
    int late = 0;
    while (!q->done && !admin->closing && late == 0) {
        late = pthread_cond_timedwait(&admin->answered, &admin->lock, &until);
    }
    bool done = q->done;
    pthread_mutex_unlock(&admin->lock);
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
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    }
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
    struct question *q = put_question(admin, path);
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
    } else if (q->body.failed) {
        result = respond_text(connection, 500, STR("no memory\n"));
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
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
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
    *admin = (struct admin){
        .loop = loop, .answer = answer, .context = context, .holders = 1};
    pthread_condattr_t by_clock; /* that nobody sets */
    pthread_condattr_init(&by_clock);
    pthread_condattr_setclock(&by_clock, CLOCK_MONOTONIC);
    pthread_cond_init(&admin->answered, &by_clock);
    pthread_condattr_destroy(&by_clock);
    pthread_mutex_init(&admin->lock, NULL);
    /* A thread for each connection, or one that waits for a hanging loop would
     * keep the others waiting with it. */
    unsigned flags =
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION;
    flags |= address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0;
    admin->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, admin, MHD_OPTION_SOCK_ADDR, &address,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_END);
    if (!admin->daemon) {
        err_set(err, ERR_FATAL, "can't listen on ADMIN_LISTEN=%s", listen);
        admin_drop(admin);
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
    pthread_cond_broadcast(&admin->answered); /* nobody waits for us */
    pthread_mutex_unlock(&admin->lock);
    MHD_stop_daemon(admin->daemon); /* and joins its threads */
    admin_drop(admin);
}
