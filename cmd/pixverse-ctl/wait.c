#include "wait.h"

#include "core/json.h"
#include "pruned.h"
#include "row.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 500
#define UNREAD_HINT_MS 15000
#define BAR_WIDTH 30
#define CLOSE_MS 2000

struct waited {
    const struct request *request;
    enum task_state state;
    bool stored; /* a worker has read it */
    bool over;   /* its end is told */
    bool failed;
    int progress;    /* percent; -1: not told */
    char status[40]; /* the provider's word */
    int64_t submitted_ms;
    int shown; /* what the last plain line told: state * 1000 + progress */
};

struct wait {
    struct ctl *ctl;
    struct loop *loop;
    struct consumer *consumer; /* null: no progress topic */
    struct loop_timer *timer;
    struct waited *all;
    size_t len;
    size_t over;
    char *ids; /* an array literal */
    int64_t begun_ms;
    int64_t now_ms;      /* the database's */
    int64_t estimate_ms; /* of the first one's mode; 0: unknown */
    bool hinted;
    bool bar_shown;
    bool broken;
};

/** The next behind that one (null: the first) that waits under this id: a file
 * may name one twice. */
static struct waited *find(const struct wait *wait, struct str id,
                           const struct waited *behind)
{
    for (size_t i = behind ? (size_t)(behind - wait->all) + 1 : 0;
         i < wait->len; i++) {
        struct waited *waited = &wait->all[i];
        if (!waited->over && str_eq(waited->request->request_id, id)) {
            return waited;
        }
    }
    return NULL;
}

/* Showing */

static FILE *progress_out(const struct wait *wait)
{
    return wait->ctl->json ? stderr : stdout;
}

static bool is_live(const struct wait *wait)
{
    return wait->ctl->width > 0 && !wait->ctl->json;
}

static void wipe_bar(struct wait *wait)
{
    if (wait->bar_shown) {
        fputs("\r\x1b[K", stdout);
        wait->bar_shown = false;
    }
}

static const char *phase(const struct waited *waited)
{
    if (!waited->stored) {
        return "sent";
    }
    if (waited->state == RUNNING && waited->status[0]) {
        return waited->status;
    }
    return task_state_name(waited->state);
}

/** How far the first unfinished one is, in thousandths; -1: unknown. */
static int share(const struct wait *wait, const struct waited *waited)
{
    if (waited->progress >= 0) {
        return waited->progress * 10;
    }
    if (wait->estimate_ms <= 0 || waited->submitted_ms == 0) {
        return -1;
    }
    int64_t share =
        (wait->now_ms - waited->submitted_ms) * 1000 / wait->estimate_ms;
    return share < 0 ? 0 : share > 990 ? 990 : (int)share;
}

static void show_bar(struct wait *wait, const struct waited *waited)
{
    char bar[BAR_WIDTH + 1];
    char elapsed[40];
    char estimate[60] = "";
    int done = share(wait, waited);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)(done > 0 ? done * BAR_WIDTH / 1000 : 0));
    bar[BAR_WIDTH] = '\0';
    int64_t span_ms = loop_boot_ms(wait->loop) - wait->begun_ms;
    format_duration(span_ms, elapsed, sizeof elapsed);
    if (wait->estimate_ms > 0) {
        char about[40];
        snprintf(estimate, sizeof estimate, ", usually %s",
                 format_duration(wait->estimate_ms, about, sizeof about));
    }
    char text[300];
    int len = snprintf(text, sizeof text, "[%s] ", bar);
    if (done >= 0) {
        len += snprintf(text + len, sizeof text - (size_t)len, "%3d%%  ",
                        done / 10);
    }
    len += snprintf(text + len, sizeof text - (size_t)len, "%s, %s%s",
                    phase(waited), elapsed, estimate);
    if (wait->len > 1) {
        snprintf(text + len, sizeof text - (size_t)len, "  (%zu of %zu done)",
                 wait->over, wait->len);
    }
    printf("\r\x1b[K%.*s", wait->ctl->width - 1, text);
    fflush(stdout);
    wait->bar_shown = true;
}

static void show_line(struct wait *wait, struct waited *waited)
{
    int told =
        (waited->stored ? (int)waited->state + 1 : 0) * 1000 + waited->progress;
    if (told == waited->shown) {
        return;
    }
    waited->shown = told;
    FILE *out = progress_out(wait);
    fprintf(out, "%.*s: %s", (int)waited->request->request_id.len,
            waited->request->request_id.at, phase(waited));
    if (waited->progress >= 0 && waited->state == RUNNING) {
        fprintf(out, " %d%%", waited->progress);
    }
    fputc('\n', out);
    fflush(out);
}

static void show(struct wait *wait)
{
    struct waited *first = NULL;
    for (size_t i = 0; i < wait->len; i++) {
        if (wait->all[i].over) {
            continue;
        }
        first = first ? first : &wait->all[i];
        if (!is_live(wait)) {
            show_line(wait, &wait->all[i]);
        }
    }
    if (first && is_live(wait)) {
        show_bar(wait, first);
    }
    bool unread = first && !first->stored;
    if (unread && !wait->hinted &&
        loop_boot_ms(wait->loop) - wait->begun_ms > UNREAD_HINT_MS) {
        wait->hinted = true;
        wipe_bar(wait);
        fprintf(stderr,
                "no worker has read it yet: does pixverse-worker run, and read "
                "%s at %s? (waiting on)\n",
                wait->ctl->settings.kafka_request_topic,
                wait->ctl->settings.kafka_brokers);
    }
}

/* Ends */

static void print_videos(const json_t *event)
{
    size_t i;
    json_t *video;
    json_array_foreach(json_object_get(event, "videos"), i, video)
    {
        char size[40];
        char text[1200];
        snprintf(text, sizeof text, "  video  %s (%s)", row_text(video, "uri"),
                 format_bytes(row_number(video, "bytes"), size, sizeof size));
        print_for_people(text);
    }
}

static void print_error(const json_t *event)
{
    const json_t *error = json_object_get(event, "error");
    char text[2600];
    if (!error) {
        return;
    }
    snprintf(text, sizeof text, "  error  %s: %s", row_text(error, "kind"),
             row_text(error, "message"));
    print_for_people(text);
    size_t i;
    json_t *detail;
    json_array_foreach(json_object_get(error, "details"), i, detail)
    {
        snprintf(text, sizeof text, "         %s", row_text(detail, "message"));
        print_for_people(text);
    }
    bool safe = json_is_true(json_object_get(error, "retry_safe"));
    printf("  again  a new request %s\n",
           safe ? "is safe" : "may be paid for twice, or break a rule");
}

static void print_end(struct wait *wait, const struct waited *waited,
                      const json_t *event)
{
    wipe_bar(wait);
    if (wait->ctl->json) {
        ctl_print_json(event);
        return;
    }
    char took[40];
    format_duration(loop_boot_ms(wait->loop) - wait->begun_ms, took,
                    sizeof took);
    printf("%.*s: %s after %s\n", (int)waited->request->request_id.len,
           waited->request->request_id.at, row_text(event, "status"), took);
    print_videos(event);
    const json_t *cost = json_object_get(event, "cost");
    if (cost) {
        printf("  cost   %.6g (billed: %s)\n", json_number_value(cost),
               row_text(event, "billed"));
    } else {
        printf("  billed %s\n", row_text(event, "billed"));
    }
    print_error(event);
    fflush(stdout);
}

static void mark_over(struct wait *wait, struct waited *waited, bool failed)
{
    waited->over = true;
    waited->failed = failed;
    wait->over++;
}

/** The id stands for another request: ours has been or will be rejected. */
static void on_reused(struct wait *wait, struct waited *waited)
{
    wipe_bar(wait);
    struct str id = waited->request->request_id;
    fprintf(stderr,
            "%.*s: this id belongs to another request, so this one is rejected "
            "(request_id_reused); send it under a new --id\n",
            (int)id.len, id.at);
    if (wait->ctl->json) {
        json_t *line = json_pack("{s:s%, s:s}", "request_id", id.at, id.len,
                                 "error", "request_id_reused");
        ctl_print_json(line);
        json_decref(line);
    }
    mark_over(wait, waited, true);
}

/** It ended long ago, and nobody knows how. */
static void on_pruned(struct wait *wait, const json_t *row)
{
    char words[200];
    wipe_bar(wait);
    if (wait->ctl->json) {
        pruned_tell(wait->ctl, row);
    } else {
        fprintf(stderr, "%s: %s\n", row_text(row, "request_id"),
                pruned_words(row, words, sizeof words));
    }
}

/** @param told  Its end was printed for another under the same id. */
static void see(struct wait *wait, struct waited *waited, const json_t *row,
                bool *told)
{
    char content[DIGEST_HEX_BYTES];
    str_hex(waited->request->content, DIGEST_BYTES, content);
    wait->now_ms = row_number(row, "now_ms");
    if (strcmp(content, row_text(row, "content")) != 0) {
        on_reused(wait, waited);
        return;
    }
    waited->stored = true;
    if (pruned_at_ms(row)) {
        if (!*told) {
            on_pruned(wait, row);
        }
        *told = true;
        mark_over(wait, waited, true);
        return;
    }
    waited->state = row_state(row);
    waited->submitted_ms = row_number(row, "submitted_ms");
    json_t *event = waited->state == CLOSED || waited->state == LATE
                        ? row_event(row)
                        : NULL;
    if (event) {
        bool completed = strcmp(row_text(event, "status"), "completed") == 0;
        if (!*told) {
            print_end(wait, waited, event);
        }
        *told = true;
        mark_over(wait, waited, !completed);
        json_decref(event);
    }
}

static void on_row(struct wait *wait, const json_t *row)
{
    struct str id = str_of(row_text(row, "request_id"));
    struct waited *waited = NULL;
    bool told = false;
    while ((waited = find(wait, id, waited))) {
        see(wait, waited, row, &told);
    }
}

static bool look(struct wait *wait)
{
    const char *params[] = {wait->ids};
    json_t *rows = ctl_rows(wait->ctl, "ctl_wait", params, 1);
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        on_row(wait, row);
    }
    bool good = rows != NULL;
    json_decref(rows);
    return good;
}

static void on_time(void *context)
{
    struct wait *wait = context;
    if (!look(wait)) {
        wait->broken = true;
    }
    if (wait->broken || wait->over == wait->len) {
        loop_stop(wait->loop);
        return;
    }
    show(wait);
    loop_timer_set(wait->timer, LOOK_MS);
}

/* Progress */

static void on_progress(void *context, struct message *message)
{
    struct wait *wait = context;
    const struct str value = json_unframed(message->value);
    json_t *progress = json_loadb(value.at ? value.at : "", value.len, 0, NULL);
    struct str id = str_of(row_text(progress, "request_id"));
    struct waited *waited = NULL;
    while ((waited = find(wait, id, waited))) {
        waited->progress = (int)row_number(progress, "progress");
        char *status = text_for_people(row_text(progress, "status"));
        snprintf(waited->status, sizeof waited->status, "%s",
                 status ? status : "");
        free(status);
    }
    json_decref(progress);
    consumer_done(wait->consumer, message);
}

/** A progress topic that can't be read takes nothing from the rest. */
static void on_state(void *context, bool connected, const char *why)
{
    (void)context;
    (void)connected;
    (void)why;
}

static void open_progress(struct wait *wait)
{
    const struct settings *settings = &wait->ctl->settings;
    char group[80];
    struct err err;
    snprintf(group, sizeof group, "pixverse-ctl-%08" PRIx32 "%08" PRIx32,
             loop_random(wait->loop), loop_random(wait->loop));
    const struct consumer_options options = {
        .brokers = settings->kafka_brokers,
        .group = group,
        .topic = settings->kafka_progress_topic,
        .properties = wait->ctl->properties,
        .properties_len = settings->kafka_conf_len,
        .tail = true,
    };
    if (settings->kafka_progress_topic[0]) {
        wait->consumer = consumer_open(wait->loop, &options, on_progress,
                                       on_state, wait, &err);
    }
}

static void read_estimate(struct wait *wait)
{
    char mode[16];
    snprintf(mode, sizeof mode, "%d", (int)wait->all[0].request->mode);
    const char *params[] = {mode};
    json_t *rows = ctl_rows(wait->ctl, "ctl_estimate", params, 1);
    wait->estimate_ms = row_number(json_array_get(rows, 0), "estimate_ms");
    json_decref(rows);
}

/* Life */

/** "{a,b}": ids are of letters that need no quotes. */
static char *ids_of(const struct submissions *submissions)
{
    struct buf ids;
    buf_init(&ids, 0);
    for (size_t i = 0; i < submissions->len; i++) {
        buf_add_char(&ids, i ? ',' : '{');
        buf_add_str(&ids, submissions->all[i].request.request_id);
    }
    buf_add_char(&ids, '}');
    return buf_take(&ids);
}

struct wait *wait_begin(struct ctl *ctl, struct loop *loop,
                        const struct submissions *submissions)
{
    if (!ctl_database(ctl)) {
        return NULL;
    }
    struct wait *wait = calloc(1, sizeof *wait);
    if (!wait) {
        return NULL;
    }
    wait->ctl = ctl;
    wait->loop = loop;
    wait->begun_ms = loop_boot_ms(loop);
    wait->len = submissions->len;
    wait->all = calloc(wait->len, sizeof *wait->all);
    wait->ids = ids_of(submissions);
    wait->timer = loop_timer_new(loop, on_time, wait);
    if (!wait->all || !wait->ids || !wait->timer) {
        wait_end(wait);
        return NULL;
    }
    for (size_t i = 0; i < wait->len; i++) {
        wait->all[i] = (struct waited){.request = &submissions->all[i].request,
                                       .progress = -1,
                                       .shown = -2};
    }
    read_estimate(wait);
    open_progress(wait);
    return wait;
}

int wait_run(struct wait *wait)
{
    loop_timer_set(wait->timer, 0);
    loop_run(wait->loop);
    bool failed = wait->broken;
    for (size_t i = 0; i < wait->len; i++) {
        failed = failed || wait->all[i].failed;
    }
    return failed ? EXIT_FAILED : EXIT_DONE;
}

static void on_closed(void *context)
{
    loop_stop(((struct wait *)context)->loop);
}

void wait_end(struct wait *wait)
{
    if (!wait) {
        return;
    }
    loop_timer_free(wait->timer);
    if (wait->consumer) {
        consumer_close(wait->consumer, CLOSE_MS, on_closed, wait);
        loop_run(wait->loop);
    }
    free(wait->all);
    free(wait->ids);
    free(wait);
}
