/* tests/run: raced */
#include "edge/admin.h"
#include "edge/web.h"

#include <netdb.h>
#include <signal.h>

#include "lib/check.h"

#define LIMIT_MS 60000
#define ASKERS 32

/** A client on a thread of its own: one request, the whole reply. */
struct asker {
    pthread_t thread;
    char request[4096];
    char reply[65536];
    int64_t took_ms;
};

static struct loop *loop;
static struct admin *admin;
static int asked; /* by reply_to() */
static int port;
static atomic_int left; /* askers that have no reply yet */
static atomic_int answered;
static bool hangs; /* the loop, while anybody waits for it */

/* ---- the worker's side ---- */

static void answer(void *context, struct str path, struct admin_answer *out)
{
    assert_string_equal(context, "context");
    answered++;
    for (int i = 0; hangs && left > 0 && i < LIMIT_MS; i++) {
        web_sleep_ms(1);
    }
    out->content_type = "text/plain; charset=utf-8";
    if (str_eq(path, STR("/healthz"))) {
        out->status = 200;
        buf_add_text(out->body, "ok\n");
    } else if (str_eq(path, STR("/readyz"))) {
        out->status = 503;
        buf_add_text(out->body, "no PostgreSQL\n");
    } else if (str_eq(path, STR("/metrics"))) {
        out->status = 200;
        for (int i = 0; i < 4000; i++) {
            buf_printf(out->body, "metric_%d 1\n", i);
        }
    } else if (str_eq(path, STR("/scale"))) {
        out->status = 200;
        out->content_type = "application/json";
        buf_add_text(out->body, "{\"queued\":1}");
    } else if (str_eq(path, STR("/task?id=12"))) {
        out->status = 200;
        buf_add_text(out->body, "the task 12");
    }
}

static int setup(void **state)
{
    (void)state;
    struct err err = {0};
    hangs = false;
    answered = 0;
    asked = 0;
    loop = loop_open(&err);
    admin = admin_open(loop, "127.0.0.1:0", answer, "context", &err);
    if (!admin) {
        fail_msg("%s", err.text);
    }
    port = admin_port(admin);
    assert_in_range(port, 1, 65535);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (admin) {
        admin_close(admin);
        admin = NULL;
    }
    loop_close(loop);
    return 0;
}

/* ---- the client's side ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void *ask(void *context)
{
    struct asker *asker = context;
    int64_t began_ms = now_ms();
    size_t len = 0;
    ssize_t n;
    int fd = dial();
    if (fd >= 0) {
        web_say(fd, asker->request);
        while (len + 1 < sizeof asker->reply &&
               (n = recv(fd, asker->reply + len, sizeof asker->reply - 1 - len,
                         0)) > 0) {
            len += (size_t)n;
        }
        close(fd);
    }
    asker->reply[len] = '\0';
    asker->took_ms = now_ms() - began_ms;
    left--;
    return NULL;
}

static struct loop_timer *look_timer;

static void look(void *context)
{
    int64_t until_ms = *(int64_t *)context;
    if (left == 0) {
        loop_stop(loop);
    } else if (now_ms() > until_ms) {
        fail_msg("%d replies did not come", (int)left);
    } else {
        loop_timer_set(look_timer, 2);
    }
}

static void ask_all(struct asker *askers, int len)
{
    left = len;
    for (int i = 0; i < len; i++) {
        pthread_create(&askers[i].thread, NULL, ask, &askers[i]);
    }
}

static void turn_until_answered(struct asker *askers, int len)
{
    int64_t until_ms = now_ms() + LIMIT_MS;
    look_timer = loop_timer_new(loop, look, &until_ms);
    loop_timer_set(look_timer, 0);
    loop_run(loop);
    loop_timer_free(look_timer);
    for (int i = 0; i < len; i++) {
        pthread_join(askers[i].thread, NULL);
    }
}

static void set_request(struct asker *asker, const char *method,
                        const char *path)
{
    snprintf(asker->request, sizeof asker->request,
             "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
             method, path);
}

/** Each loop has a second for its answer: on a busy machine one that turns may
 * need more, and is asked again. */
#define TRIES 10

static bool came_late(const struct asker *asker)
{
    return strstr(asker->reply, "the loop does not answer") != NULL;
}

/** The whole reply, from a loop that turns. */
static const char *reply_to(const char *method, const char *path)
{
    static struct asker asker;
    set_request(&asker, method, path);
    for (int i = 0; i == 0 || (i < TRIES && came_late(&asker)); i++) {
        asked++;
        ask_all(&asker, 1);
        turn_until_answered(&asker, 1);
    }
    return asker.reply;
}

static void assert_starts(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0) {
        fail_msg("\"%s\" does not start with \"%s\"", text, start);
    }
}

/* ---- answers ---- */

#define TEST(name) TEST_CASE_WITH(name, setup, teardown)

TEST(admin_open__four_paths__answer_each)
{
    const char *reply = reply_to("GET", "/healthz");
    assert_starts(reply, "HTTP/1.1 200 ");
    assert_non_null(strstr(reply, "\r\n\r\nok\n"));
    assert_non_null(strstr(reply, "text/plain; charset=utf-8"));
    reply = reply_to("GET", "/readyz");
    assert_starts(reply, "HTTP/1.1 503 ");
    assert_non_null(strstr(reply, "\r\n\r\nno PostgreSQL\n"));
    reply = reply_to("GET", "/metrics");
    assert_starts(reply, "HTTP/1.1 200 ");
    assert_non_null(strstr(reply, "\nmetric_3999 1\n"));
    reply = reply_to("GET", "/scale?now=1");
    assert_starts(reply, "HTTP/1.1 200 ");
    assert_non_null(strstr(reply, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(reply, "\r\n\r\n{\"queued\":1}"));
}

TEST(admin_open__the_id__stands_behind_the_path)
{
    const char *reply = reply_to("GET", "/task?x=y&id=12");
    assert_starts(reply, "HTTP/1.1 200 ");
    assert_non_null(strstr(reply, "\r\n\r\nthe task 12"));
}

TEST(admin_advertise__where_it_listens__is_where_others_go)
{
    char out[300];
    admin_advertise("127.0.0.1:0", 4711, out, sizeof out);
    assert_string_equal(out, "127.0.0.1:4711");
    admin_advertise("[2001:db8::1]:9464", 9464, out, sizeof out);
    assert_string_equal(out, "[2001:db8::1]:9464");
    admin_advertise("worker-7.example:9464", 9464, out, sizeof out);
    assert_string_equal(out, "worker-7.example:9464");
    static const char *const wild[] = {"0.0.0.0:0", "[::]:9464"};
    for (size_t i = 0; i < 2; i++) {
        admin_advertise(wild[i], 99, out, sizeof out);
        assert_null(strstr(out, "0.0.0.0"));
        assert_null(strstr(out, "[::]:"));
        assert_non_null(strstr(out, ":99"));
    }
}

TEST(admin_open__unknown_path__is_404_and_names_the_others)
{
    const char *reply = reply_to("GET", "/etc/passwd");
    assert_starts(reply, "HTTP/1.1 404 ");
    assert_non_null(strstr(reply, "/healthz"));
    assert_null(strstr(reply, "passwd"));
}

TEST(admin_open__head__has_no_body)
{
    const char *reply = reply_to("HEAD", "/healthz");
    assert_starts(reply, "HTTP/1.1 200 ");
    assert_non_null(strstr(reply, "Content-Length: 3\r\n"));
    assert_null(strstr(reply, "ok\n"));
}

TEST(admin_open__other_methods__are_405)
{
    const char *methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const char *reply = reply_to(methods[i], "/metrics");
        assert_starts(reply, "HTTP/1.1 405 ");
        assert_non_null(strstr(reply, "Allow: GET, HEAD\r\n"));
    }
    assert_int_equal(answered, 0);
}

TEST(admin_open__post_with_a_body__is_405)
{
    static struct asker asker;
    snprintf(asker.request, sizeof asker.request,
             "POST /scale HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
             "Connection: close\r\n\r\nhello");
    ask_all(&asker, 1);
    turn_until_answered(&asker, 1);
    assert_starts(asker.reply, "HTTP/1.1 405 ");
    assert_int_equal(answered, 0);
}

TEST(admin_open__huge_head__is_cut_off)
{
    static char head[200000];
    int fd = dial();
    size_t len =
        (size_t)snprintf(head, sizeof head, "GET /healthz HTTP/1.1\r\n");
    for (int i = 0; len < sizeof head - 100; i++) {
        len += (size_t)snprintf(head + len, sizeof head - len,
                                "X-%d: %064d\r\n", i, i);
    }
    web_send(fd, head, len);
    char reply[64] = "";
    ssize_t n = recv(fd, reply, sizeof reply - 1, 0);
    assert_true(n <= 0 || strncmp(reply, "HTTP/1.1 4", 10) == 0);
    close(fd);
    /* And it goes on for others. */
    assert_starts(reply_to("GET", "/healthz"), "HTTP/1.1 200 ");
}

TEST(admin_open__many_at_once__answers_all)
{
    static struct asker askers[ASKERS];
    const char *paths[] = {"/healthz", "/readyz", "/metrics", "/scale"};
    for (int i = 0; i < ASKERS; i++) {
        set_request(&askers[i], "GET", paths[i % 4]);
    }
    int late = ASKERS;
    for (int i = 0; i < TRIES && late > 0; i++) {
        answered = 0;
        ask_all(askers, ASKERS);
        turn_until_answered(askers, ASKERS);
        late = 0;
        for (int k = 0; k < ASKERS; k++) {
            late += came_late(&askers[k]);
        }
    }
    for (int i = 0; i < ASKERS; i++) {
        assert_starts(askers[i].reply,
                      i % 4 == 1 ? "HTTP/1.1 503 " : "HTTP/1.1 200 ");
    }
    assert_int_equal(answered, ASKERS);
}

/* ---- slow clients ---- */

#define SLOW 90

static atomic_bool dripping;

/** Keeps every connection busy with a byte now and then. */
static void *drip(void *context)
{
    const int *fds = context;
    while (dripping) {
        for (int i = 0; i < SLOW; i++) {
            (void)send(fds[i], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        web_sleep_ms(200);
    }
    return NULL;
}

/** Most never end their question, some never read the answers; a probe is
 * answered all the same, again and again. */
TEST(admin_open__slow_clients__keep_nobody_out)
{
    static int fds[SLOW];
    pthread_t dripper;
    for (int i = 0; i < SLOW; i++) {
        fds[i] = dial();
        assert_true(fds[i] >= 0);
        for (int j = 0; i % 4 == 0 && j < 100; j++) {
            web_say(fds[i], "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        web_say(fds[i], "GET /metrics HTTP/1.1\r\nHost: x\r\nx-a: ");
    }
    dripping = true;
    pthread_create(&dripper, NULL, drip, fds);
    for (int i = 0; i < 5; i++) {
        assert_starts(reply_to("GET", "/healthz"), "HTTP/1.1 200 ");
    }
    dripping = false;
    pthread_join(dripper, NULL);
    for (int i = 0; i < SLOW; i++) {
        close(fds[i]);
    }
    assert_true(answered >= 5);
}

/* ---- a loop that hangs ---- */

TEST(admin_open__loop_does_not_turn__all_are_503_in_a_second)
{
    static struct asker askers[8];
    for (int i = 0; i < 8; i++) {
        set_request(&askers[i], "GET", "/healthz");
    }
    ask_all(askers, 8);
    for (int i = 0; i < 8; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_starts(askers[i].reply, "HTTP/1.1 503 ");
        assert_non_null(strstr(askers[i].reply, "the loop does not answer"));
        assert_in_range(askers[i].took_ms, 900, 30000);
    }
    /* The loop turns again: nobody waits for those, a new one is answered. */
    assert_starts(reply_to("GET", "/healthz"), "HTTP/1.1 200 ");
    assert_in_range(answered, 1, asked);
}

TEST(admin_open__answer_comes_late__is_503_and_no_harm)
{
    static struct asker asker;
    hangs = true; /* so that it comes behind the second, whoever is slow */
    set_request(&asker, "GET", "/metrics");
    ask_all(&asker, 1);
    turn_until_answered(&asker, 1);
    assert_starts(asker.reply, "HTTP/1.1 503 ");
    hangs = false;
    assert_starts(reply_to("GET", "/healthz"), "HTTP/1.1 200 ");
}

TEST(admin_close__while_questions_wait__ends_them_at_once)
{
    static struct asker askers[8];
    for (int i = 0; i < 8; i++) {
        set_request(&askers[i], "GET", "/healthz");
    }
    ask_all(askers, 8);
    web_sleep_ms(300);
    int64_t began_ms = now_ms();
    admin_close(admin);
    admin = NULL;
    assert_true(now_ms() - began_ms < 9000); /* a connection has 10 s */
    for (int i = 0; i < 8; i++) {
        pthread_join(askers[i].thread, NULL);
    }
    assert_int_equal(answered, 0);
    /* What was asked is still in the loop's queue: closing it lets it go. */
}

TEST(admin_close__with_an_idle_connection__does_not_wait)
{
    int fd = dial();
    web_say(fd, "GET /healthz HTTP/1.1\r\n");
    web_sleep_ms(50);
    int64_t began_ms = now_ms();
    admin_close(admin);
    admin = NULL;
    assert_true(now_ms() - began_ms < 9000); /* a connection has 10 s */
    close(fd);
}

/* ---- addresses ---- */

TEST(admin_open__bad_addresses__are_said)
{
    struct err err = {0};
    char taken[64];
    snprintf(taken, sizeof taken, "127.0.0.1:%d", port);
    const char *bad[] = {
        "", "nonsense", "127.0.0.1:port", "192.0.2.1:0", "999.1.1.1:80", taken};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.text[0] = '\0';
        if (admin_open(loop, bad[i], answer, "context", &err)) {
            fail_msg("listens on \"%s\"", bad[i]);
        }
        assert_true(err.text[0] != '\0');
    }
}

/** Whether somebody answers at an address. */
static bool answers(const char *host, int at)
{
    char text[16];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    snprintf(text, sizeof text, "%d", at);
    assert_int_equal(getaddrinfo(host, text, &hints, &found), 0);
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    bool done = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0;
    if (fd >= 0) {
        close(fd);
    }
    freeaddrinfo(found);
    return done;
}

/** Whether this machine has an address at all. */
static bool exists(const char *host)
{
    struct err err = {0};
    char listen[64];
    snprintf(listen, sizeof listen, "%s:0", host);
    struct admin *other = admin_open(loop, listen, answer, "context", &err);
    if (other) {
        admin_close(other);
    }
    return other != NULL;
}

TEST(admin_open__every_address__is_every_family)
{
    struct err err = {0};
    const char *listens[] = {"[::]:0", "localhost:0"};
    for (size_t i = 0; i < 2; i++) {
        bool all = false;
        /* What is free in one family may be taken in the other. */
        for (int tries = 0; tries < 10 && !all; tries++) {
            struct admin *other =
                admin_open(loop, listens[i], answer, "context", &err);
            if (!other) {
                fail_msg("%s: %s", listens[i], err.text);
            }
            all = answers("127.0.0.1", admin_port(other)) &&
                  (i > 0 || !exists("[::1]") ||
                   answers("::1", admin_port(other)));
            admin_close(other);
        }
        assert_true(all);
    }
}

TEST(admin_open__ipv6_loopback__listens)
{
    struct err err = {0};
    struct admin *other = admin_open(loop, "[::1]:0", answer, "context", &err);
    if (!other) {
        skip(); /* a machine without IPv6 */
    }
    assert_in_range(admin_port(other), 1, 65535);
    admin_close(other);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
