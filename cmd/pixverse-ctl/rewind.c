#include "order.h"

#include "edge/rewind.h"
#include "when.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
static const struct option options[] = {
    {"--to", "TIME", "the group goes on with what was produced from then on, as 2026-11-28T03:00:00Z", false},
    {"--dry-run", NULL, "say what would be done, and do nothing", false},
    {"--json", NULL, "one JSON object", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/** What is known before anything is written. */
struct plan {
    struct topics_options topics;
    const char *topic;
    int64_t to_ms;
    struct rewind_part *parts;
    size_t parts_len;
    int64_t again; /* messages that come once more */
    json_t *database;
};

static bool may_be_set_back(const json_t *database)
{
    int64_t sessions = row_number(database, "sessions");
    if (sessions > 0) {
        order_refuse("rewind",
                     "%" PRId64 " sessions of workers are connected to the "
                     "database: stop every worker first",
                     sessions);
    }
    return sessions == 0;
}

static bool look(struct ctl *ctl, struct plan *plan)
{
    struct err err = {0};
    json_t *rows = ctl_rows(ctl, "ctl_rewind_look", NULL, 0);
    plan->database = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    if (!plan->database || !may_be_set_back(plan->database)) {
        return false;
    }
    if (plan->to_ms > row_number(plan->database, "now_ms")) {
        order_refuse("rewind", "--to is in the future, and nothing was done");
        return false;
    }
    if (!rewind_look(&plan->topics, plan->topic, plan->to_ms, &plan->parts,
                     &plan->parts_len, &err)) {
        order_refuse("rewind", "%s; nothing was done", err.text);
        return false;
    }
    for (size_t i = 0; i < plan->parts_len; i++) {
        const struct rewind_part *part = &plan->parts[i];
        plan->again += part->to >= 0 ? part->committed - part->to : 0;
    }
    return true;
}

/** The mark first: what comes again before it is there would be bought without
 * a look at its key's life. */
static bool carry_out(struct ctl *ctl, const struct plan *plan, json_t **marked)
{
    struct err err = {0};
    json_t *rows = ctl_rows(ctl, "ctl_rewind", NULL, 0);
    *marked = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    if (rows && !*marked) {
        order_refuse("rewind", "a worker has connected to the database: stop "
                               "every worker first; nothing was done");
    }
    if (!*marked) {
        return false;
    }
    if (!rewind_commit(&plan->topics, plan->topic, plan->parts, plan->parts_len,
                       &err)) {
        order_refuse("rewind",
                     "the database is marked, the offsets are as they were: "
                     "%s. Do it again before any worker starts",
                     err.text);
        return false;
    }
    return true;
}

static void tell_json(const struct plan *plan, const json_t *marked)
{
    json_t *parts = json_array();
    for (size_t i = 0; i < plan->parts_len; i++) {
        const struct rewind_part *part = &plan->parts[i];
        json_array_append_new(
            parts, json_pack("{s:i, s:I, s:I}", "partition", part->partition,
                             "from", (json_int_t)part->committed, "to",
                             (json_int_t)(part->to >= 0 ? part->to
                                                        : part->committed)));
    }
    json_t *line =
        json_pack("{s:b, s:I, s:I, s:o}", "done", marked != NULL, "messages",
                  (json_int_t)plan->again, "waiting",
                  (json_int_t)row_number(marked ? marked : plan->database,
                                         marked ? "marked" : "waiting"),
                  "partitions", parts);
    ctl_print_json(line);
    json_decref(line);
}

static void tell(const struct plan *plan, const json_t *marked)
{
    for (size_t i = 0; i < plan->parts_len; i++) {
        const struct rewind_part *part = &plan->parts[i];
        if (part->committed < 0) {
            printf("partition %d: nothing is committed: it begins at the "
                   "earliest\n",
                   part->partition);
        } else if (part->to < 0) {
            printf("partition %d: stays at %" PRId64 "\n", part->partition,
                   part->committed);
        } else {
            printf("partition %d: from %" PRId64 " back to %" PRId64 "\n",
                   part->partition, part->committed, part->to);
        }
    }
    printf("%" PRId64 " messages %s once more; those whose request is stored "
           "are recognized\n",
           plan->again, marked ? "come" : "would come");
    printf("%" PRId64 " waiting requests %s in doubt: they go out only while "
           "the provider\nvouches for their keys, and wait under the hold "
           "operator beyond that\n",
           row_number(marked ? marked : plan->database,
                      marked ? "marked" : "waiting"),
           marked ? "are" : "would be");
    puts(marked ? "workers may be started now"
                : "nothing was done (--dry-run)");
}

static int carry(struct ctl *ctl, const struct options *given,
                 struct plan *plan)
{
    json_t *marked = NULL;
    bool dry = options_has(given, "--dry-run");
    bool good = look(ctl, plan) && (dry || carry_out(ctl, plan, &marked));
    if (good && ctl->json) {
        tell_json(plan, marked);
    } else if (good) {
        tell(plan, marked);
    }
    json_decref(marked);
    json_decref(plan->database);
    free(plan->parts);
    return good ? EXIT_DONE : EXIT_FAILED;
}

static int run(struct ctl *ctl, const struct options *given)
{
    const struct settings *s = &ctl->settings;
    const char *to = options_get(given, "--to");
    struct plan plan = {
        .topics = {.brokers = s->kafka_brokers,
                   .group = s->kafka_group,
                   .properties = ctl->properties,
                   .properties_len = s->kafka_conf_len},
        .topic = s->kafka_request_topic,
    };
    if (given->words_len) {
        return ctl_usage("rewind", "\"%s\" is too much: it takes flags only",
                         given->words[0]);
    }
    if (!to) {
        return ctl_usage("rewind", "--to is missing: the time of the oldest "
                                   "message that the backup may lack");
    }
    if (!when_read(to, &plan.to_ms)) {
        return ctl_usage("rewind",
                         "--to \"%s\" is no time, allowed: RFC 3339 with a "
                         "zone, as 2026-11-28T03:00:00Z, or milliseconds of "
                         "Unix time",
                         to);
    }
    return carry(ctl, given, &plan);
}

const struct command command_rewind = {
    .name = "rewind",
    .usage = "--to TIME [flags]",
    .help = "after a restore from a backup: read the topic again, buy nothing "
            "twice",
    .text =
        "With every worker stopped: sets the offsets of KAFKA_GROUP on the "
        "request topic\nback to what was produced at TIME (never on), and "
        "stores in the database when\nthat was. What was received or produced "
        "before goes out under the idempotency\nkey that it may have been "
        "bought under, as long as the provider remembers keys;\nbeyond that it "
        "waits under the hold operator, unsent (pixverse-ctl explain says\nso): "
        "attach, cancel, or retry --pay-again decide about it.\n"
        "TIME is that of the oldest message that the backup may lack: its "
        "begin, less how\nfar the group was behind. Too early costs only "
        "reading. deploy/OPERATIONS.md has\nthe whole way.\n\n"
        "Examples:\n"
        "  pixverse-ctl rewind --to 2026-11-28T03:00:00Z --dry-run\n"
        "  pixverse-ctl rewind --to 2026-11-28T03:00:00Z\n",
    .options = options,
    .run = run,
};
