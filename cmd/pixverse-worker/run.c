#include "commands.h"
#include "doors.h"

#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define FLUSH_MS 1000 /* of the log */

/**
 * A worker that ends before its time may still be connecting in other threads:
 * they must not see the libraries being taken down by exit().
 */
static _Noreturn void leave_at_once(int status)
{
    fflush(NULL);
    (void)log_flush(FLUSH_MS);
    _exit(status);
}

/* ---- what the settings say, in the worker's terms ---- */

static struct stage_options stage_options(const struct settings *s)
{
    struct stage_options o = {
        .event_topic = s->kafka_event_topic,
        .progress_topic =
            s->kafka_progress_topic[0] ? s->kafka_progress_topic : NULL,
        .key_template = s->key_template,
        .tasks_max = (int)s->tasks_max,
        .submits_max = (int)s->submits_max,
        .transfers_max = (int)s->transfers_max,
        /* What is learnt of the one account's slots is the fleet's limit. */
        .generations_max = s->generations_min > 0 ? 0 : (int)s->generations_max,
        .attempts_max = (int)s->resubmit_overloads,
        .tenants_max = s->metrics_tenants_max,
        .poll_interval_ms = s->poll_interval_ms,
        .submit_timeout_ms = s->submit_timeout_ms,
        .deadline_ms = s->deadline_ms,
        .late_ms = s->late_ms,
        .chain_wait_ms = s->chain_wait_ms,
        .lease_ms = s->lease_ms,
        .submit_doubt = s->submit_doubt,
        .days = {.history = s->history_days, .ids = s->ids_days},
    };
    o.accounts = *configured_accounts();
    return o;
}

/** Of this process, for people and logs. */
static void name_worker(char *name, size_t bytes, struct loop *loop)
{
    char host[64] = "worker";
    gethostname(host, sizeof host - 1);
    snprintf(name, bytes, "%s/%ld/%08x", host, (long)getpid(),
             loop_random(loop));
}

/** Where the lease says that this worker answers /task. */
static void advertise(const struct settings *s, const struct admin *admin,
                      char *out, size_t bytes)
{
    if (s->admin_advertise[0]) {
        snprintf(out, bytes, "%s", s->admin_advertise);
    } else {
        admin_advertise(s->admin_listen, admin_port(admin), out, bytes);
    }
}

static struct worker_options worker_options(const struct settings *s,
                                            const struct admin *admin,
                                            const char *name)
{
    struct worker_options o = {
        .engine = stage_options(s),
        .fleet = {.name = name,
                  .lease_ms = s->lease_ms,
                  .shares = s->tenant_fairness},
        .intake = {.rejected_topic = s->kafka_rejected_topic,
                   .backlog_max = s->backlog_max,
                   .bytes_max = s->intake_bytes_max -
                                intake_ahead_bytes(s->intake_bytes_max)},
        .prices = *configured_prices(),
        .drain_ms = s->drain_ms,
        .accepted_events = s->accepted_events,
    };
    advertise(s, admin, o.fleet.admin, sizeof o.fleet.admin);
    return o;
}

/* ---- running ---- */

/** Until it is drained, or can't go on. Logs why it ends. */
static enum worker_end run(const struct settings *settings)
{
    /* where the drain runs out, calls that are under way may still name it */
    static struct worker worker;
    static struct doors doors;
    char name[128];
    struct err err = {0};
    bool open = doors_open(&doors, settings, &worker, &err);
    if (open) {
        name_worker(name, sizeof name, doors.edges.loop);
        const struct worker_options options =
            worker_options(settings, doors.admin, name);
        open =
            worker_init(&worker, &options, &doors.edges, doors.consumer, &err);
    }
    if (!open) {
        log_at(LOG_ERROR, "can't start", LOG_TEXT("why", err.text));
        return WORKER_FAILED;
    }
    loop_on_signal(doors.edges.loop, SIGTERM, worker_drain, &worker);
    loop_on_signal(doors.edges.loop, SIGINT, worker_drain, &worker);
    log_at(LOG_INFO, "started", LOG_TEXT("name", name),
           LOG_TEXT("version", PROGRAM_VERSION),
           LOG_TEXT("storage", bucket_name(doors.edges.bucket)),
           LOG_I64("admin_port", admin_port(doors.admin)));
    loop_run(doors.edges.loop);
    if (worker.end != WORKER_FAILED) {
        doors_close(&doors);
    }
    if (worker.end == WORKER_DONE) {
        worker_done(&worker);
        doors_done(&doors);
    }
    return worker.end;
}

/** Beside transfers: connecting, the bucket's sweep and probe. */
#define OTHER_WORK 4

int command_run(const struct settings *settings)
{
    /* A transfer mostly waits for the disk: libuv's four threads would have
     * half of them wait for each other. */
    loop_threads(settings->transfers_max + OTHER_WORK);
    switch (run(settings)) {
    case WORKER_DONE:
        return EXIT_DONE;
    case WORKER_MISFIT:
        leave_at_once(EXIT_MISFIT);
    case WORKER_FAILED:
        break;
    }
    leave_at_once(EXIT_FAILED);
}
