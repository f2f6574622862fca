#include "edge/admin.h"

#include <arpa/inet.h>
#include <assert.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* libmicrohttpd closes whom it accepts above this; one that was ended counts
 * until its thread is gone, so a burst needs room above GUESTS_MAX. */
#define CONNECTIONS_MAX 256u
#define GUESTS_MAX 48 /* above it, who has been slowest for longest goes */
#define DOORS_MAX 2   /* a name may have an address of either family */
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
    struct MHD_Daemon *doors[DOORS_MAX];
    size_t doors_len;
    admin_fn *answer;
    void *context;
    pthread_mutex_t lock;    /* of what follows, and of every question */
    pthread_cond_t answered; /* some question, or nobody will be */
    int holders;             /* its owner, and each question in the queue */
    bool closing;
    struct guest guests[DOORS_MAX * CONNECTIONS_MAX];
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
    for (size_t i = 0; i < DOORS_MAX * CONNECTIONS_MAX; i++) {
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
    for (size_t i = 0; info && i < DOORS_MAX * CONNECTIONS_MAX; i++) {
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

/** Every address of it, for freeaddrinfo(); null with *err: none. */
static struct addrinfo *resolve(const char *listen, struct err *err)
{
    char host[256];
    const char *colon = strrchr(listen, ':');
    if (!colon || (size_t)(colon - listen) >= sizeof host) {
        err_set(err, ERR_FATAL, "\"%s\" is not host:port", listen);
        return NULL;
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
        err_set(err, ERR_FATAL, "\"%s\": %s", listen, gai_strerror(code));
        return NULL;
    }
    return found;
}

static bool is_any_v6(const struct sockaddr_storage *address)
{
    const struct sockaddr_in6 *six = (const void *)address;
    return address->ss_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr);
}

static int port_of(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

/** The second door has the port that the first one was given. */
static void set_port(struct sockaddr_storage *address, int port)
{
    assert(port >= 0 && port <= 65535);
    if (address->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port =
            htons((uint16_t)port);
    } else {
        ((struct sockaddr_in *)(void *)address)->sin_port =
            htons((uint16_t)port);
    }
}

static void open_door(struct admin *admin, struct sockaddr_storage *address)
{
    assert(admin->doors_len < DOORS_MAX);
    /* A thread for each connection, or one that waits for a hanging loop would
     * keep the others waiting with it. */
    unsigned flags =
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION;
    if (address->ss_family == AF_INET6) {
        flags |= is_any_v6(address) ? MHD_USE_DUAL_STACK : MHD_USE_IPv6;
    }
    if (admin->doors_len) {
        set_port(address, port_of(admin->doors[0]));
    }
    struct MHD_Daemon *door = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, admin, MHD_OPTION_SOCK_ADDR, address,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, admin, MHD_OPTION_END);
    if (door) {
        admin->doors[admin->doors_len++] = door;
    }
}

/** The first address of each family; what [::] covers is not opened again. */
static void open_doors(struct admin *admin, const struct addrinfo *found)
{
    int family = AF_UNSPEC;
    bool any = false;
    in_port_t any_port = 0;
    for (; found && admin->doors_len < DOORS_MAX; found = found->ai_next) {
        struct sockaddr_storage address = {0};
        assert(found->ai_addrlen <= sizeof address);
        memcpy(&address, found->ai_addr, found->ai_addrlen);
        if (is_any_v6(&address)) {
            any_port = ((struct sockaddr_in6 *)(void *)&address)->sin6_port;
            any = true;
        }
        if (found->ai_family != family) {
            open_door(admin, &address);
        }
        family = admin->doors_len ? found->ai_family : family;
    }
    if (any && admin->doors_len == 0) { /* a machine without IPv6 */
        struct sockaddr_storage four = {.ss_family = AF_INET};
        set_port(&four, ntohs(any_port));
        open_door(admin, &four);
    }
}

static struct admin *admin_new(struct loop *loop, admin_fn *answer,
                               void *context)
{
    struct admin *admin = calloc(1, sizeof *admin);
    if (!admin) {
        return NULL;
    }
    *admin = (struct admin){
        .loop = loop, .answer = answer, .context = context, .holders = 1};
    for (size_t i = 0; i < DOORS_MAX * CONNECTIONS_MAX; i++) {
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
    struct addrinfo *found = resolve(listen, err);
    if (!found) {
        return NULL;
    }
    struct admin *admin = admin_new(loop, answer, context);
    if (!admin) {
        err_set(err, ERR_FATAL, "no memory for the admin server");
    } else {
        open_doors(admin, found);
        if (admin->doors_len == 0) {
            err_set(err, ERR_FATAL, "can't listen on ADMIN_LISTEN=%s", listen);
            admin_drop(admin);
            admin = NULL;
        }
    }
    freeaddrinfo(found);
    return admin;
}

int admin_port(const struct admin *admin)
{
    assert(admin->doors_len > 0);
    return port_of(admin->doors[0]);
}

void admin_close(struct admin *admin)
{
    pthread_mutex_lock(&admin->lock);
    assert(!admin->closing);
    admin->closing = true;
    pthread_cond_broadcast(&admin->answered); /* nobody waits for us */
    pthread_mutex_unlock(&admin->lock);
    for (size_t i = 0; i < admin->doors_len; i++) {
        MHD_stop_daemon(admin->doors[i]); /* and joins its threads */
    }
    admin_drop(admin);
}
