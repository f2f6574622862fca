/* wraps: loop_timer_set */
/** Sweeps of a store that is away, goes in a circle, or has another clock. */

#include "s3_trial.h"

#include "edge/web.h"

#include <signal.h>
#include <time.h>

#define AGAIN_MS 5000 /* sweep.c: the first wait, then twice as long */
#define SHIFTS 8
#define TEMPLATE "{tenant}/{yyyy}/{mm}/{dd}/{request_id}/{index}.mp4"
#define KEY "default/2026/11/22/clip/0.mp4"

static int waits[SHIFTS]; /* that began, by their length */
static bool hurried;

void __real_loop_timer_set(struct loop_timer *timer, int64_t delay_ms);
void __wrap_loop_timer_set(struct loop_timer *timer, int64_t delay_ms);
void __wrap_loop_timer_set(struct loop_timer *timer, int64_t delay_ms)
{
    for (int i = 0; i < SHIFTS && hurried; i++) {
        if (delay_ms == (int64_t)AGAIN_MS << i) {
            waits[i]++;
            delay_ms = 1;
        }
    }
    __real_loop_timer_set(timer, delay_ms);
}

static struct trial trial;
static struct web *web;
static struct loop_timer *turns;

static void on_turns(void *context)
{
    (void)context;
    loop_stop(trial.loop);
}

static void turn_for(int64_t ms)
{
    __real_loop_timer_set(turns, ms);
    loop_run(trial.loop);
}

static void begin_web(web_fn *serve)
{
    setenv("AWS_ACCESS_KEY_ID", "AKIA", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    memset(waits, 0, sizeof waits);
    web = web_start(serve, NULL);
    begin_with(&trial, web->url, "videos", "&region=eu-1");
    turns = loop_timer_new(trial.loop, on_turns, NULL);
}

static void end_web(void)
{
    hurried = false;
    loop_timer_free(turns);
    end(&trial);
    web_stop(web);
}

static bool say(int fd, const char *status, const char *headers,
                const char *body)
{
    char text[2000];
    snprintf(text, sizeof text,
             "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers,
             strlen(body), body);
    return web_say(fd, text);
}

/* ---- away ---- */

static bool serve_away(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    return say(fd, "503 Slow Down", "", "");
}

TEST_CASE(forget__the_store_stays_away__asked_ever_more_seldom_then_no_more)
{
    struct answer answer = {.trial = &trial};
    begin_web(serve_away);
    hurried = true;
    assert_true(bucket_forget(trial.bucket, STR(KEY), on_result, &answer));
    wait_for(&trial, &answer);
    assert_int_equal(answer.result.end, BUCKET_FAILED);
    for (int i = 0; i < 3000 && waits[SHIFTS - 1] == 0; i++) {
        turn_for(20);
    }
    for (int i = 0, before = -1; i < 60 && web->requests != before; i++) {
        before = web->requests;
        turn_for(1000); /* nothing new within it: that was all */
    }
    assert_in_range(web->requests, 10, 20);
    for (int i = 0; i < SHIFTS; i++) { /* 10 s: others wait so long, too */
        assert_in_range(waits[i], 1, i == 1 ? 100 : i == SHIFTS - 1 ? 8 : 1);
    }
    end_web();
}

/* ---- a circle ---- */

static bool serve_circle(struct web *w, int fd, const char *request, int number)
{
    (void)w;
    (void)request;
    (void)number;
    return say(fd, "200 OK", "",
               "<R><IsTruncated>true</IsTruncated><NextKeyMarker>a"
               "</NextKeyMarker><NextUploadIdMarker>b</NextUploadIdMarker>"
               "</R>");
}

TEST_CASE(forget__pages_go_in_a_circle__it_ends)
{
    struct answer answer = {.trial = &trial};
    begin_web(serve_circle);
    assert_true(bucket_forget(trial.bucket, STR(KEY), on_result, &answer));
    wait_for(&trial, &answer);
    assert_int_equal(answer.result.end, BUCKET_DONE);
    assert_in_range(web->requests, 2, 1000);
    end_web();
}

/* ---- another clock ---- */

#define SKEW_S 36000

static char asked[4000]; /* the lines of requests */

static bool serve_late(struct web *w, int fd, const char *request, int number)
{
    char date[64];
    char begun[40];
    char body[600];
    (void)w;
    const time_t theirs = time(NULL) - SKEW_S;
    const time_t young = theirs - 1800;
    struct tm tm;
    strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n",
             gmtime_r(&theirs, &tm));
    strftime(begun, sizeof begun, "%Y-%m-%dT%H:%M:%S.000Z",
             gmtime_r(&young, &tm));
    const size_t len = strlen(asked);
    snprintf(asked + len, sizeof asked - len, "%.8s\n", request);
    if (number == 1) {
        return say(fd, "403 Forbidden", date,
                   "<Error><Code>RequestTimeTooSkewed</Code></Error>");
    }
    if (strncmp(request, "HEAD ", 5) == 0) {
        return say(fd, "404 Not Found", date, "");
    }
    snprintf(body, sizeof body,
             "<R><IsTruncated>false</IsTruncated><Upload><Key>%s/" KEY
             "</Key><UploadId>u</UploadId><Initiated>%s</Initiated></Upload>"
             "</R>",
             trial.prefix, begun);
    return say(fd, "200 OK", date, body);
}

TEST_CASE(sweep__our_clock_is_hours_ahead__takes_no_upload_of_the_living)
{
    begin_web(serve_late);
    bucket_sweep(trial.bucket, TEMPLATE, 3600000);
    for (int i = 0; i < 3000 && web->requests < 3; i++) {
        turn_for(20);
    }
    turn_for(100);
    end_web();
    assert_non_null(strstr(asked, "HEAD ")); /* young: is its object there? */
    assert_null(strstr(asked, "DELETE "));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
