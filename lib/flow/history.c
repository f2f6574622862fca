#include "flow/history.h"

#include "base/log.h"

#include <assert.h>

#define FIRST_MS 2000 /* the first beat has to tell who we are */
#define ASK_MS 5000   /* whether it is our turn */
#define PASS_MS 60000 /* between two passes */

static void prune(struct history *history);
static void forget(struct history *history);

static struct loop *loop_of(const struct history *history)
{
    return history->fleet->engine->edges.loop;
}

static int64_t now_of(const struct history *history)
{
    return engine_now_ms(history->fleet->engine);
}

/** As long as ours is the lowest live lease. */
static bool is_ours(const struct history *history)
{
    const struct fleet *fleet = history->fleet;
    return !history->stopped && fleet->counts && fleet->store_up &&
           fleet->engine->clock.known;
}

/* ---- the end of a pass ---- */

static void later(struct history *history, int64_t wait_ms,
                  void (*step)(struct history *history))
{
    history->step = step;
    loop_timer_set(history->next, wait_ms);
}

/** Once a day, and after the first pass. */
static void tell(struct history *history)
{
    int64_t day = now_of(history) / HISTORY_DAY_MS;
    char oldest[25] = "";
    if (day == history->told_day) {
        return;
    }
    if (history->look.oldest_ms) {
        str_time(history->look.oldest_ms, oldest);
    }
    log_at(LOG_INFO, "history", LOG_I64("days_counted", history->counted),
           LOG_I64("pruned", history->pruned),
           LOG_I64("ids_forgotten", history->forgotten),
           LOG_TEXT("oldest", oldest));
    history->told_day = day;
    history->counted = 0;
    history->pruned = 0;
    history->forgotten = 0;
}

static void begin(struct history *history);

static void end_pass(struct history *history)
{
    assert(history->under_way);
    history->under_way = false;
    archive_end(history->archive);
    if (!history->stopped) {
        later(history, PASS_MS, begin);
    }
}

/** false: it is over. */
static bool goes_on(struct history *history, const struct err *err)
{
    if (err && err->kind != ERR_NONE) {
        log_at(LOG_WARN,
               "history waits: the database did not do what it was "
               "asked; again in a minute",
               LOG_TEXT("why", err->text));
    }
    bool good = (!err || err->kind == ERR_NONE) && is_ours(history);
    if (!good) {
        end_pass(history);
    }
    return good;
}

static void rest(struct history *history, void (*step)(struct history *history))
{
    int64_t took_ms = loop_boot_ms(loop_of(history)) - history->began_ms;
    later(history, history_rest_ms(took_ms), step);
}

/* ---- ids ---- */

static void on_marked(void *context, bool done, const struct err *err)
{
    struct history *history = context;
    (void)done;
    if (goes_on(history, err)) {
        tell(history);
        end_pass(history);
    }
}

static void on_forgotten(void *context, const struct archive_batch *batch,
                         const struct err *err)
{
    struct history *history = context;
    history->forgotten += batch->gone;
    metric_add(history->forgotten_total, (double)batch->gone);
    if (!goes_on(history, err)) {
        return;
    }
    if (batch->more) {
        rest(history, forget);
        return;
    }
    int64_t now_ms = now_of(history);
    int64_t from_ms = history_known_from_ms(&history->days, now_ms);
    if (from_ms) {
        archive_mark(history->archive, from_ms, now_ms,
                     history_settled_ms(now_ms), on_marked, history);
    } else {
        on_marked(history, false, NULL);
    }
}

static void forget(struct history *history)
{
    if (goes_on(history, NULL)) {
        history->began_ms = loop_boot_ms(loop_of(history));
        archive_forget(history->archive, history_settled_ms(now_of(history)),
                       on_forgotten, history);
    }
}

/* ---- rows ---- */

static void on_pruned(void *context, const struct archive_batch *batch,
                      const struct err *err)
{
    struct history *history = context;
    history->pruned += batch->gone;
    metric_add(history->pruned_total, (double)batch->gone);
    if (!goes_on(history, err)) {
        return;
    }
    history->from_ms = batch->last_ms;
    rest(history, batch->more ? prune : forget);
}

static void prune(struct history *history)
{
    int64_t now_ms = now_of(history);
    int64_t before_ms = history_prune_before_ms(&history->days, now_ms);
    if (!goes_on(history, NULL)) {
        return;
    }
    if (!before_ms) {
        forget(history);
        return;
    }
    history->began_ms = loop_boot_ms(loop_of(history));
    archive_prune(history->archive, before_ms, history->from_ms, now_ms,
                  on_pruned, history);
}

/* ---- days ---- */

static void count_next(struct history *history);

static void on_counted(void *context, bool done, const struct err *err)
{
    struct history *history = context;
    history->counted += done;
    if (done) {
        metric_set(history->counted_at, (double)now_of(history) / 1000);
    }
    if (goes_on(history, err)) {
        rest(history, count_next);
    }
}

static void count_next(struct history *history)
{
    if (!goes_on(history, NULL)) {
        return;
    }
    if (history->counted_len == history->look.days_len) {
        history->from_ms = 0;
        prune(history);
        return;
    }
    history->began_ms = loop_boot_ms(loop_of(history));
    archive_count(history->archive, history->look.days[history->counted_len++],
                  now_of(history), on_counted, history);
}

static void on_look(void *context, const struct archive_look *look,
                    const struct err *err)
{
    struct history *history = context;
    if (!goes_on(history, err)) {
        return;
    }
    int64_t now_ms = now_of(history);
    int64_t before_ms = history_prune_before_ms(&history->days, now_ms);
    bool overdue = look->oldest_ms && look->oldest_ms < before_ms;
    history->look = *look;
    history->counted_len = 0;
    metric_set(history->oldest,
               look->oldest_ms ? (double)(now_ms - look->oldest_ms) / 1000 : 0);
    metric_set(history->overdue,
               overdue ? (double)(before_ms - look->oldest_ms) / 1000 : 0);
    metric_set(history->counted_at, (double)look->counted_ms / 1000);
    count_next(history);
}

/* ---- a pass ---- */

static void on_begun(void *context, bool done, const struct err *err)
{
    struct history *history = context;
    if (!goes_on(history, err)) {
        return;
    }
    if (!done) {
        end_pass(history); /* another one is still at it */
        return;
    }
    int64_t now_ms = now_of(history);
    archive_look(history->archive,
                 history_prune_before_ms(&history->days, now_ms),
                 history_count_before_ms(now_ms), on_look, history);
}

static void begin(struct history *history)
{
    if (!is_ours(history)) {
        metric_set(history->oldest, 0);
        metric_set(history->overdue, 0);
        metric_set(history->counted_at, 0);
        later(history, ASK_MS, begin);
        return;
    }
    history->under_way = true;
    archive_begin(history->archive, on_begun, history);
}

/* ---- life ---- */

static void on_next(void *context)
{
    struct history *history = context;
    assert(!history->stopped && history->step);
    history->step(history);
}

static void metrics_init(struct history *history, struct metrics *m)
{
    history->pruned_total =
        metric_get(m, METRIC_COUNTER, "pixverse_history_pruned_total", NULL,
                   "Ended requests whose history this worker pruned.");
    history->forgotten_total =
        metric_get(m, METRIC_COUNTER, "pixverse_history_forgotten_total", NULL,
                   "Ids that this worker forgot.");
    history->oldest = metric_get(
        m, METRIC_GAUGE, "pixverse_history_oldest_seconds", NULL,
        "Age of the oldest end that is kept; told by one worker, 0 by the "
        "others.");
    history->overdue =
        metric_get(m, METRIC_GAUGE, "pixverse_history_overdue_seconds", NULL,
                   "How long the oldest end should have been pruned; told by "
                   "one worker, 0 by the others.");
    history->counted_at = metric_get(
        m, METRIC_GAUGE, "pixverse_history_counted_timestamp_seconds", NULL,
        "When a day was last counted; told by one worker, 0 by the others.");
}

bool history_init(struct history *history, struct fleet *fleet,
                  struct archive *archive, struct err *err)
{
    const struct stage_edges *edges = &fleet->engine->edges;
    *history = (struct history){
        .fleet = fleet,
        .archive = archive,
        .days = fleet->engine->options.days,
    };
    assert((archive != NULL) == (history->days.history > 0));
    metrics_init(history, edges->metrics);
    if (!archive) {
        return true;
    }
    history->next = loop_timer_new(edges->loop, on_next, history);
    if (!history->next) {
        return err_set(err, ERR_FATAL, "no memory for the history");
    }
    later(history, FIRST_MS, begin);
    return true;
}

void history_done(struct history *history)
{
    loop_timer_free(history->next);
}

void history_stop(struct history *history)
{
    assert(!history->stopped);
    history->stopped = true;
    if (history->next) {
        loop_timer_stop(history->next);
    }
    if (history->under_way) {
        end_pass(history);
    }
}
