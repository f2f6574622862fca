/* wraps: loop_boot_ms */
#include "base/proxy.h"
#include "edge/s3/credentials.h"
#include "edge/web.h"
#include "lib/check.h"

#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

/*
 * Keys of a container's endpoint, and clocks that don't agree: what counts is
 * the clock of who hands them out, and no fault of clocks becomes a loop.
 */

#define LIMIT_MS 60000

struct endpoint {
    int date_s;     /* its clock, from the true time; INT_MAX: none is told */
    int expires_s;  /* of the keys, likewise */
    int fails_from; /* with its n-th answer; 0: never */
    int fails_to;   /* until before this one */
};

struct waiter {
    struct credentials_wait wait;
    int ends;
    char why[200]; /* "": there are keys */
};

static int64_t ahead_ms; /* of the loop's clock */

int64_t __real_loop_boot_ms(const struct loop *l);
int64_t __wrap_loop_boot_ms(const struct loop *l);
int64_t __wrap_loop_boot_ms(const struct loop *l)
{
    return __real_loop_boot_ms(l) + ahead_ms;
}

static struct loop *loop;
static struct wire *wire;
static struct credentials *credentials;
static struct web *web;

static struct tm from_now(int seconds)
{
    const time_t when = time(NULL) + seconds;
    struct tm tm;
    return *gmtime_r(&when, &tm);
}

static bool serve_keys(struct web *w, int fd, const char *request, int number)
{
    const struct endpoint *endpoint = w->context;
    char date[64] = "";
    char expires[40];
    char body[300];
    char reply[600];
    (void)request;
    if (number >= endpoint->fails_from && number < endpoint->fails_to) {
        return web_say(fd, "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
    }
    struct tm tm = from_now(endpoint->expires_s);
    strftime(expires, sizeof expires, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (endpoint->date_s != INT_MAX) {
        tm = from_now(endpoint->date_s);
        strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
    }
    snprintf(body, sizeof body,
             "{\"AccessKeyId\":\"ASIA%d\",\"SecretAccessKey\":\"s\",\"Token\":"
             "\"t\",\"Expiration\":\"%s\"}",
             number, expires);
    snprintf(reply, sizeof reply,
             "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n%s", date,
             strlen(body), body);
    return web_say(fd, reply);
}

static void stop(void *context)
{
    (void)context;
    loop_stop(loop);
}

static void out_of_time(void *context)
{
    (void)context;
    fail_msg("nobody was told");
}

static void on_end(void *context, const char *why)
{
    struct waiter *waiter = context;
    waiter->ends++;
    snprintf(waiter->why, sizeof waiter->why, "%s", why ? why : "");
    loop_stop(loop);
}

static struct waiter want(void)
{
    struct waiter waiter = {.wait = {.on_end = on_end}};
    struct loop_timer *limit = loop_timer_new(loop, out_of_time, NULL);
    waiter.wait.context = &waiter;
    list_init(&waiter.wait.link);
    loop_timer_set(limit, LIMIT_MS);
    credentials_want(credentials, &waiter.wait);
    assert_int_equal(waiter.ends, 0);
    loop_run(loop);
    loop_timer_free(limit);
    assert_int_equal(waiter.ends, 1);
    return waiter;
}

static void turn_for(int64_t ms)
{
    struct loop_timer *timer = loop_timer_new(loop, stop, NULL);
    loop_timer_set(timer, ms);
    loop_run(loop);
    loop_timer_free(timer);
}

static int setup(void **state)
{
    struct err err = {0};
    static const char *const others[] = {
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_PROFILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    };
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        unsetenv(others[i]);
    }
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    loop = loop_open(&err);
    wire = wire_open(loop, 4, NULL, &err);
    credentials = credentials_open(loop, wire, "S3");
    return loop && wire && credentials ? 0 : -1;
}

static void begin(const struct endpoint *endpoint)
{
    web = web_start(serve_keys, (void *)(uintptr_t)endpoint);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", web->url, 1);
}

static int teardown(void **state)
{
    (void)state;
    ahead_ms = 0;
    credentials_close(credentials);
    wire_close(wire);
    if (web) {
        web_stop(web);
        web = NULL;
    }
    loop_close(loop);
    return 0;
}

TEST_CASE_WITH(credentials_want__our_clock_is_ahead__theirs_counts, setup,
               teardown)
{
    /* Two hours ahead: by our clock they expired an hour ago. */
    const struct endpoint endpoint = {.date_s = -7200, .expires_s = -3600};
    begin(&endpoint);
    struct waiter waiter = want();
    assert_string_equal(waiter.why, "");
    const struct sigv4_key *key = credentials_now(credentials);
    assert_non_null(key);
    assert_true(str_eq(key->id, STR("ASIA1")));
    turn_for(1500);
    assert_non_null(credentials_now(credentials));
    assert_int_equal(web->requests, 1);
}

TEST_CASE_WITH(credentials_want__our_clock_is_behind__theirs_counts, setup,
               teardown)
{
    const struct endpoint endpoint = {.date_s = 7200, .expires_s = 3600};
    begin(&endpoint);
    struct waiter waiter = want();
    assert_non_null(strstr(waiter.why, "had expired"));
    assert_non_null(strstr(waiter.why, "its own clock"));
    assert_null(credentials_now(credentials));
}

/** Who hands out keys is on this machine, which no proxy leads to. */
TEST_CASE_WITH(credentials_want__behind_a_proxy__the_endpoint_is_asked_itself,
               setup, teardown)
{
    struct err err = {0};
    struct proxy proxy;
    char url[64];
    const struct endpoint endpoint = {.date_s = 0, .expires_s = 3600};
    begin(&endpoint);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", web_free_port());
    credentials_close(credentials);
    wire_close(wire);
    wire = wire_open(loop, 4, proxy_of(&proxy, url, "", ""), &err);
    credentials = credentials_open(loop, wire, "S3");
    assert_string_equal(want().why, "");
    assert_int_equal(web->requests, 1);
}

static int64_t seconds_since(int64_t began_ms)
{
    return (loop_boot_ms(loop) - began_ms) / 1000;
}

/** Everybody who wants them is told why there are none, and who hands them out
 * is asked ever more seldom. */
TEST_CASE_WITH(credentials_want__expired_on_arrival__ends_with_a_reason, setup,
               teardown)
{
    const struct endpoint endpoint = {.date_s = INT_MAX, .expires_s = -60};
    begin(&endpoint);
    const int64_t began_ms = loop_boot_ms(loop);
    for (int i = 0; i < 40; i++) {
        struct waiter waiter = want();
        assert_non_null(strstr(waiter.why, "had expired"));
        assert_non_null(strstr(waiter.why, "this machine's clock"));
        assert_null(credentials_now(credentials));
        turn_for(50);
    }
    assert_true(web->requests <= 1 + seconds_since(began_ms));
}

TEST_CASE_WITH(credentials_now__a_life_of_moments__is_no_loop, setup, teardown)
{
    const struct endpoint endpoint = {.date_s = 0, .expires_s = 1};
    begin(&endpoint);
    const int64_t began_ms = loop_boot_ms(loop);
    for (int i = 0; i < 40; i++) {
        if (!credentials_now(credentials)) {
            want();
        }
        turn_for(50);
    }
    assert_true(web->requests <= 2 + seconds_since(began_ms));
}

static bool has(const char *id)
{
    const struct sigv4_key *key = credentials_now(credentials);
    return key && str_eq(key->id, str_of(id));
}

/** One call may lack a right that the keys never had: others go on with them,
 * also where no newer ones can be had. */
TEST_CASE_WITH(credentials_doubt__one_refusal__keys_are_kept_until_newer_come,
               setup, teardown)
{
    const struct endpoint endpoint = {
        .date_s = 0, .expires_s = 7200, .fails_from = 2, .fails_to = 3};
    begin(&endpoint);
    assert_string_equal(want().why, "");
    credentials_doubt(credentials); /* they have only just come */
    assert_true(has("ASIA1"));
    turn_for(50);
    assert_int_equal(web->requests, 1);
    ahead_ms = 11000;
    credentials_doubt(credentials);
    assert_true(has("ASIA1"));
    for (int i = 0; i < 3000 && web->requests < 2; i++) {
        turn_for(20);
        assert_true(has("ASIA1"));
    }
    assert_int_equal(web->requests, 2); /* which failed */
    turn_for(500);
    assert_true(has("ASIA1"));
    ahead_ms = 60000; /* a pause later */
    for (int i = 0; i < 3000 && !has("ASIA3"); i++) {
        turn_for(20);
        assert_non_null(credentials_now(credentials));
    }
    assert_true(has("ASIA3"));
    turn_for(50);
    assert_int_equal(web->requests, 3);
}

/** What the store calls run out is used no more. */
TEST_CASE_WITH(credentials_renew__they_have_run_out__none_until_newer_come,
               setup, teardown)
{
    const struct endpoint endpoint = {.date_s = 0, .expires_s = 7200};
    begin(&endpoint);
    assert_string_equal(want().why, "");
    const uint32_t first = credentials_issue(credentials);
    assert_false(credentials_renew(credentials, first)); /* only just fetched */
    ahead_ms = 11000;
    assert_true(credentials_renew(credentials, first));
    assert_null(credentials_now(credentials));
    /* So say others that were signed with them, before and after. */
    assert_true(credentials_renew(credentials, first));
    assert_string_equal(want().why, "");
    assert_true(has("ASIA2"));
    assert_true(credentials_renew(credentials, first));
    assert_true(has("ASIA2"));
    assert_false(credentials_renew(credentials, first + 1));
}

/* ---- files ---- */

static char fifo[64];

static void begin_fifo(void)
{
    snprintf(fifo, sizeof fifo, "/tmp/credentials-%d", (int)getpid());
    unlink(fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    setenv("AWS_SHARED_CREDENTIALS_FILE", fifo, 1);
    unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

/** Waits for its reader. */
static void write_fifo(const char *text)
{
    FILE *file = fopen(fifo, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    unlink(fifo);
}

static void on_turn(void *context)
{
    ++*(int *)context;
    loop_stop(loop);
}

/** A disk of the network may be away for minutes: nobody else waits for it. */
TEST_CASE_WITH(credentials_want__a_file_blocks__the_loop_turns, setup, teardown)
{
    struct waiter waiter = {.wait = {.on_end = on_end}};
    int turned = 0;
    begin_fifo();
    struct loop_timer *timer = loop_timer_new(loop, on_turn, &turned);
    waiter.wait.context = &waiter;
    list_init(&waiter.wait.link);
    alarm(60); /* in vain: who blocks has to be ended */
    credentials_want(credentials, &waiter.wait);
    loop_timer_set(timer, 20);
    loop_run(loop);
    assert_int_equal(turned, 1);
    assert_int_equal(waiter.ends, 0);
    write_fifo("[default]\naws_access_key_id = AKIAFILE\n"
               "aws_secret_access_key = s\n");
    loop_timer_free(timer);
    loop_run(loop);
    alarm(0);
    assert_int_equal(waiter.ends, 1);
    assert_string_equal(waiter.why, "");
    assert_true(has("AKIAFILE"));
}

TEST_CASE_WITH(credentials_close__a_file_blocks__is_let_go, setup, teardown)
{
    struct waiter waiter = {.wait = {.on_end = on_end, .context = &waiter}};
    begin_fifo();
    list_init(&waiter.wait.link);
    alarm(60);
    credentials_want(credentials, &waiter.wait);
    credentials_forget(&waiter.wait);
    credentials_close(credentials);
    credentials = NULL;
    write_fifo("[default]\naws_access_key_id = AKIAFILE\n"
               "aws_secret_access_key = s\n");
    turn_for(50);
    alarm(0);
    assert_int_equal(waiter.ends, 0);
}

/** What can't be read may name the very keys: no other source is asked. */
TEST_CASE_WITH(credentials_want__a_file_cant_be_read__says_so, setup, teardown)
{
    const struct endpoint endpoint = {.date_s = 0, .expires_s = 7200};
    begin(&endpoint);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/tmp", 1); /* a folder */
    struct waiter waiter = want();
    assert_non_null(strstr(waiter.why, "shared file can't be read"));
    assert_non_null(strstr(waiter.why, "(/tmp)"));
    assert_int_equal(web->requests, 0);
}

/** Each file that is read; 256 KiB are few enough. */
TEST_CASE_WITH(credentials_want__a_file_is_too_large__says_the_limit, setup,
               teardown)
{
    static const struct {
        const char *file;
        const char *with;
        const char *value;
    } cases[] = {
        {"AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE", "default"},
        {"AWS_CONFIG_FILE", "AWS_PROFILE", "default"},
        {"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
         "arn:aws:iam::1:role/r"},
        {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
         "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/"},
    };
    const struct endpoint endpoint = {.date_s = 0, .expires_s = 7200};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(&endpoint);
        setenv(cases[i].file, "/dev/zero", 1);
        setenv(cases[i].with, cases[i].value, 1);
        struct waiter waiter = want();
        assert_non_null(strstr(waiter.why, "can't be read"));
        assert_non_null(strstr(waiter.why, "256 KiB"));
        assert_non_null(strstr(waiter.why, "(/dev/zero)"));
        assert_int_equal(web->requests, 0);
        unsetenv(cases[i].with);
        teardown(state);
        assert_int_equal(setup(state), 0);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
