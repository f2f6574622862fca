#include "console_live.h"

#include "console_reply.h"

#include "core/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_S 2        /* while anybody looks */
#define LOOK_ALONE_S 30 /* for the plots */
#define POINT_MS 30000
#define TODAY_MS 15000 /* between two sums over the day */
#define TALK_S 1       /* a listener hears something as often */

static const char *const states[POINT_STATES] = {"queued", "submitting",
                                                 "running", "ready", "late"};

static int64_t boot_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct timespec after_s(int seconds)
{
    struct timespec then;
    clock_gettime(CLOCK_MONOTONIC, &then);
    then.tv_sec += seconds;
    return then;
}

/* ---- a look at the fleet ---- */

/** It has answered, though some cells may have been left out: what the others
 * say is of more use than nothing. */
static bool is_answer(const struct console_run *run)
{
    return run->status == EXIT_DONE || run->status == EXIT_LEFT;
}

/** Why there is none. `top` says on its output which cells are away. */
static struct str fault_of(const struct console_run *run,
                           const struct console_run *top)
{
    if (!is_answer(run)) {
        return str_trim(buf_str(&run->err));
    }
    const struct str said = str_trim(buf_str(&top->err));
    return said.len ? said : str_trim(buf_str(&top->out));
}

static void ask_today(struct console *console)
{
    struct console_args args = {0};
    struct console_run run;
    char day[25];
    str_time(wall_ms(), day);
    day[10] = '\0'; /* "2026-11-22": UTC, as stats counts */
    console_args_add(&args, "stats");
    console_args_flag(&args, "since", day);
    console_args_flag(&args, "by", "tenant");
    console_args_add(&args, "--json");
    console_run(&run, &args, console->ctl->environment);
    if (is_answer(&run)) {
        pthread_mutex_lock(&console->live_lock);
        buf_reset(&console->today);
        console_add_rows(&console->today, buf_str(&run.out));
        console->today_ms = boot_ms();
        pthread_mutex_unlock(&console->live_lock);
    }
    console_run_done(&run);
    console_args_done(&args);
}

static int64_t ended_today(struct console *console)
{
    struct buf array;
    bool no_memory = false;
    int64_t ended = 0;
    size_t i;
    json_t *row;
    buf_init(&array, 0);
    buf_add_char(&array, '[');
    buf_add_str(&array, buf_str(&console->today));
    buf_add_char(&array, ']');
    json_t *rows = array.failed ? NULL : json_read(buf_str(&array), &no_memory);
    json_array_foreach(rows, i, row)
    {
        ended += row_number(row, "count");
    }
    json_decref(rows);
    buf_done(&array);
    return ended;
}

/** By live_lock. */
static void add_point(struct console *console, struct str watch)
{
    const struct point *last =
        console->points_ever
            ? &console->points[(console->points_ever - 1) % POINTS_MAX]
            : NULL;
    bool no_memory = false;
    struct point point = {.time_ms = wall_ms()};
    if (last && point.time_ms - last->time_ms < POINT_MS &&
        point.time_ms >= last->time_ms) {
        return;
    }
    json_t *row = json_read(watch, &no_memory);
    const json_t *counts = json_object_get(row, "states");
    for (size_t i = 0; i < POINT_STATES; i++) {
        point.states[i] = row_number(counts, states[i]);
    }
    json_decref(row);
    point.ended = ended_today(console);
    console->points[console->points_ever++ % POINTS_MAX] = point;
}

/** One of pixverse-ctl's commands, as JSON. */
static void run_words(const struct console *console, struct console_run *run,
                      const char *const *words)
{
    struct console_args args = {0};
    for (size_t i = 0; words[i]; i++) {
        console_args_add(&args, words[i]);
    }
    console_args_add(&args, "--json");
    console_run(run, &args, console->ctl->environment);
    console_args_done(&args);
}

static void look(struct console *console)
{
    struct console_run run;
    struct console_run top;
    if (console->today_ms == 0 || boot_ms() - console->today_ms >= TODAY_MS) {
        ask_today(console);
    }
    run_words(console, &run, (const char *const[]){"watch", "--count=1", NULL});
    run_words(console, &top, (const char *const[]){"top", "--once", NULL});
    pthread_mutex_lock(&console->live_lock);
    const struct str watch = str_trim(buf_str(&run.out));
    const struct str fleet = str_trim(buf_str(&top.out));
    const bool fine =
        is_answer(&run) && watch.len && is_answer(&top) && fleet.len;
    buf_reset(&console->look);
    if (fine) {
        add_point(console, watch);
        buf_add_text(&console->look, "{\"watch\":");
        buf_add_str(&console->look, watch);
        buf_add_text(&console->look, ",\"top\":");
        buf_add_str(&console->look, fleet);
        buf_add_text(&console->look, ",\"today\":[");
        buf_add_str(&console->look, buf_str(&console->today));
        buf_add_text(&console->look, "]");
    } else {
        buf_add_text(&console->look, "{\"fault\":");
        buf_add_json(&console->look, fault_of(&run, &top));
    }
    buf_printf(&console->look, ",\"orders\":%s,\"version\":\"%s\"}",
               console->orders ? "true" : "false", PROGRAM_VERSION);
    console->looks++;
    pthread_cond_broadcast(&console->seen);
    pthread_mutex_unlock(&console->live_lock);
    console_run_done(&top);
    console_run_done(&run);
}

static void *go_on_looking(void *context)
{
    struct console *console = context;
    pthread_mutex_lock(&console->live_lock);
    while (!console->ending) {
        pthread_mutex_unlock(&console->live_lock);
        look(console);
        pthread_mutex_lock(&console->live_lock);
        const struct timespec alone = after_s(LOOK_ALONE_S);
        const struct timespec then = after_s(LOOK_S);
        while (!console->ending) {
            const bool wanted = console->listeners > 0;
            if (pthread_cond_timedwait(&console->seen, &console->live_lock,
                                       wanted ? &then : &alone) != 0) {
                break;
            }
        }
    }
    pthread_mutex_unlock(&console->live_lock);
    return NULL;
}

bool live_begin(struct console *console)
{
    pthread_condattr_t by_clock;
    pthread_condattr_init(&by_clock);
    pthread_condattr_setclock(&by_clock, CLOCK_MONOTONIC);
    pthread_cond_init(&console->seen, &by_clock);
    pthread_condattr_destroy(&by_clock);
    pthread_mutex_init(&console->live_lock, NULL);
    buf_init(&console->look, 0);
    buf_init(&console->today, 0);
    return pthread_create(&console->looker, NULL, go_on_looking, console) == 0;
}

void live_end(struct console *console)
{
    pthread_mutex_lock(&console->live_lock);
    console->ending = true;
    pthread_cond_broadcast(&console->seen);
    pthread_mutex_unlock(&console->live_lock);
    pthread_join(console->looker, NULL);
}

/* ---- what is told of it ---- */

/** The newest look; by live_lock. The first one is waited for. */
static void wait_for_look(struct console *console, uint64_t after)
{
    const struct timespec then = after_s(after ? TALK_S : 10);
    while (console->looks <= after && !console->ending &&
           pthread_cond_timedwait(&console->seen, &console->live_lock, &then) ==
               0) {
    }
}

void live_overview(struct console *console, struct page_answer *answer)
{
    answer->content_type = "application/json";
    pthread_mutex_lock(&console->live_lock);
    wait_for_look(console, 0);
    buf_add_text(answer->body, "{\"look\":");
    buf_add_text(answer->body,
                 console->look.len ? console->look.bytes : "null");
    buf_add_text(answer->body,
                 ",\"command\":\"pixverse-ctl top\",\"points\":[");
    const size_t len =
        console->points_ever < POINTS_MAX ? console->points_ever : POINTS_MAX;
    for (size_t i = 0; i < len; i++) {
        const struct point *point =
            &console->points[(console->points_ever - len + i) % POINTS_MAX];
        buf_printf(answer->body, "%s[%" PRId64, i ? "," : "", point->time_ms);
        for (size_t s = 0; s < POINT_STATES; s++) {
            buf_printf(answer->body, ",%" PRId64, point->states[s]);
        }
        buf_printf(answer->body, ",%" PRId64 "]", point->ended);
    }
    buf_add_text(answer->body, "]}");
    pthread_mutex_unlock(&console->live_lock);
}

/** One who listens. */
struct listener {
    struct console *console;
    uint64_t heard;
    struct buf event; /* what is being told */
    size_t told;      /* bytes of it */
};

static ptrdiff_t tell_more(void *own, char *out, size_t out_bytes)
{
    struct listener *listener = own;
    struct console *console = listener->console;
    if (listener->told == listener->event.len) {
        pthread_mutex_lock(&console->live_lock);
        wait_for_look(console, listener->heard);
        buf_reset(&listener->event);
        listener->told = 0;
        if (console->looks > listener->heard) {
            listener->heard = console->looks;
            buf_add_text(&listener->event, "data: ");
            buf_add_str(&listener->event, buf_str(&console->look));
            buf_add_text(&listener->event, "\n\n");
        } else { /* so that it is noticed when the other side is gone */
            buf_add_text(&listener->event, ": \n\n");
        }
        const bool ending = console->ending;
        pthread_mutex_unlock(&console->live_lock);
        if (ending || listener->event.failed) {
            return -1;
        }
    }
    size_t bytes = listener->event.len - listener->told;
    bytes = bytes < out_bytes ? bytes : out_bytes;
    memcpy(out, listener->event.bytes + listener->told, bytes);
    listener->told += bytes;
    return (ptrdiff_t)bytes;
}

static void end_listening(void *own)
{
    struct listener *listener = own;
    pthread_mutex_lock(&listener->console->live_lock);
    listener->console->listeners--;
    pthread_mutex_unlock(&listener->console->live_lock);
    buf_done(&listener->event);
    free(listener);
}

void live_stream(struct console *console, struct page_answer *answer)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener) {
        console_refuse(answer, 503, "no memory");
        return;
    }
    listener->console = console;
    buf_init(&listener->event, 0);
    pthread_mutex_lock(&console->live_lock);
    console->listeners++;
    pthread_cond_broadcast(&console->seen); /* a look comes sooner now */
    pthread_mutex_unlock(&console->live_lock);
    answer->content_type = "text/event-stream";
    answer->stream = tell_more;
    answer->stream_own = listener;
    answer->stream_end = end_listening;
}
