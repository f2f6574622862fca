#include "edge/admin.h"

#include "edge/admin/ports.h"

#include <assert.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* libmicrohttpd closes whom it accepts above this; one that was ended counts
 * until its thread is gone, so a burst needs room above GUESTS_MAX. */
#define CONNECTIONS_MAX 256u
#define GUESTS_MAX 48 /* above it, who has been slowest for longest goes */
#define CONNECTION_TIMEOUT_S 10u
/* of request headers, all in all */
#define CONNECTION_BYTES ((size_t)32 * 1024)
#define WAIT_S 1
#define PATH_BYTES 64 /* longer ones are none of ours */
#define ANSWER_BYTES_MAX ((size_t)4 << 20)

/** A connection. It is ended by shutting its socket down: its thread then
 * closes it, and tells us before the number can be another's. */
struct guest {
    int fd;          /* -1: a free place */
    uint64_t number; /* in the order in which they came */
    bool answering;  /* its question is with the loop: it isn't slow */
    bool ended;
};

/** Outlives admin_close() while a question of it is still in the loop's
 * queue. */
struct admin {
    struct loop *loop;
    struct ports ports;
    admin_fn *answer;
    void *context;
    pthread_mutex_t lock;    /* of what follows, and of every question */
    pthread_cond_t answered; /* some question, or nobody will be */
    int holders;             /* its owner, and each question in the queue */
    bool closing;
    struct guest guests[PORTS_MAX * CONNECTIONS_MAX];
    uint64_t guests_ever;
};

/** Shared by the thread that asks and the loop that answers; the last frees
 * it. */
struct question {
    struct admin *admin;
    int holders;
    bool done; /* from now on the loop leaves it alone */
    char path[PATH_BYTES];
    struct admin_answer answer;
    struct buf body;
};

/* ---- the question ---- */

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
    assert(q->holders > 0);
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
    assert(admin->holders > 0);
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
    assert(admin->holders > 0);
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

/* ---- guests ---- */

/** Slow ones must not keep the others out: a probe asks and goes. */
static void end_slowest(struct admin *admin)
{
    struct guest *slowest = NULL;
    int here = 0;
    for (size_t i = 0; i < PORTS_MAX * CONNECTIONS_MAX; i++) {
        struct guest *guest = &admin->guests[i];
        bool counts = guest->fd >= 0 && !guest->ended;
        here += counts;
        if (counts && !guest->answering &&
            (!slowest || guest->number < slowest->number)) {
            slowest = guest;
        }
    }
    if (here > GUESTS_MAX && slowest) {
        slowest->ended = true;
        shutdown(slowest->fd, SHUT_RDWR);
    }
}

static void on_connection(void *context, struct MHD_Connection *connection,
                          void **place,
                          enum MHD_ConnectionNotificationCode code)
{
    struct admin *admin = context;
    pthread_mutex_lock(&admin->lock);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED && *place) {
        ((struct guest *)*place)->fd = -1;
        *place = NULL;
    }
    const union MHD_ConnectionInfo *info =
        code == MHD_CONNECTION_NOTIFY_STARTED
            ? MHD_get_connection_info(connection,
                                      MHD_CONNECTION_INFO_CONNECTION_FD)
            : NULL;
    for (size_t i = 0; info && i < PORTS_MAX * CONNECTIONS_MAX; i++) {
        if (admin->guests[i].fd < 0) {
            admin->guests[i] = (struct guest){.fd = info->connect_fd,
                                              .number = admin->guests_ever++};
            *place = &admin->guests[i];
            break;
        }
    }
    if (info) {
        end_slowest(admin);
    }
    pthread_mutex_unlock(&admin->lock);
}

static void set_answering(struct admin *admin,
                          struct MHD_Connection *connection, bool answering)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    pthread_mutex_lock(&admin->lock);
    if (info && info->socket_context) {
        ((struct guest *)info->socket_context)->answering = answering;
    }
    pthread_mutex_unlock(&admin->lock);
}

/* ---- the server's threads ---- */

static enum MHD_Result respond(struct MHD_Connection *connection, int status,
                               const char *content_type, struct str body)
{
    assert(status >= 200 && content_type);
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
                                  "/metrics /scale /task?id=N\n"));
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
    const char *id =
        MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "id");
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s%s%s", url, id ? "?id=" : "", id ? id : "");
    set_answering(context, connection, true);
    enum MHD_Result result = ask(context, connection, path);
    set_answering(context, connection, false);
    return result;
}

/* ---- the door ---- */

static struct admin *admin_new(struct loop *loop, admin_fn *answer,
                               void *context)
{
    struct admin *admin = calloc(1, sizeof *admin);
    if (!admin) {
        return NULL;
    }
    *admin = (struct admin){
        .loop = loop, .answer = answer, .context = context, .holders = 1};
    for (size_t i = 0; i < PORTS_MAX * CONNECTIONS_MAX; i++) {
        admin->guests[i].fd = -1;
    }
    pthread_condattr_t by_clock; /* that nobody sets */
    pthread_condattr_init(&by_clock);
    pthread_condattr_setclock(&by_clock, CLOCK_MONOTONIC);
    pthread_cond_init(&admin->answered, &by_clock);
    pthread_condattr_destroy(&by_clock);
    pthread_mutex_init(&admin->lock, NULL);
    return admin;
}

struct admin *admin_open(struct loop *loop, const char *listen,
                         admin_fn *answer, void *context, struct err *err)
{
    assert(listen && answer);
    struct admin *admin = admin_new(loop, answer, context);
    if (!admin) {
        err_set(err, ERR_FATAL, "no memory for the admin server");
        return NULL;
    }
    const struct ports_options options = {.setting = "ADMIN_LISTEN",
                                          .listen = listen,
                                          .connections_max = CONNECTIONS_MAX,
                                          .timeout_s = CONNECTION_TIMEOUT_S,
                                          .connection_bytes = CONNECTION_BYTES,
                                          .on_request = on_request,
                                          .on_connection = on_connection,
                                          .context = admin};
    if (!ports_open(&admin->ports, &options, err)) {
        admin_drop(admin);
        return NULL;
    }
    return admin;
}

int admin_port(const struct admin *admin)
{
    return ports_number(&admin->ports);
}

void admin_close(struct admin *admin)
{
    pthread_mutex_lock(&admin->lock);
    assert(!admin->closing);
    admin->closing = true;
    pthread_cond_broadcast(&admin->answered); /* nobody waits for us */
    pthread_mutex_unlock(&admin->lock);
    ports_close(&admin->ports); /* and joins its threads */
    admin_drop(admin);
}
