#include "rejected_replay.h"

#include "confirm.h"
#include "order.h"
#include "send.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Why it is not sent again; null: it is. */
static const char *obstacle(const struct options *given,
                            const struct rejected *rejected)
{
    if (rejected->dropped) {
        return "its value or key was too large for the rejected topic and is "
               "not there: its producer has to send it again";
    }
    if (rejected->replayed && !options_has(given, "--again")) {
        return "it was replayed before (--again replays it once more)";
    }
    if (strcmp(row_text(rejected->about, "error"), "too_old") == 0 &&
        !options_has(given, "--pay-again")) {
        return "it may have been bought, and is forgotten: sent now it may be "
               "paid for twice (--pay-again orders it all the same)";
    }
    return NULL;
}

/** Marked before it is sent: what is interrupted between the two is not sent
 * twice by who runs the same command again. */
static bool mark(struct ctl *ctl, const struct options *given,
                 const struct rejected *rejected, bool *marked)
{
    char partition[16];
    char offset[24];
    char produced[24];
    snprintf(partition, sizeof partition, "%" PRId32, rejected->partition);
    snprintf(offset, sizeof offset, "%" PRId64, rejected->offset);
    snprintf(produced, sizeof produced, "%" PRId64, rejected->produced_ms);
    const char *const params[] = {
        ctl->settings.kafka_rejected_topic, partition, offset, produced,
        options_has(given, "--again") ? "true" : "false"};
    int written = order_write(ctl, "ctl_replay", params, 5);
    *marked = written > 0;
    return written >= 0;
}

/** @param fits  Those to be sent. */
static int replay(struct ctl *ctl, const struct options *given,
                  struct rejected **fits, size_t len)
{
    struct outgoing *all = calloc(len + 1, sizeof *all);
    bool *acknowledged = calloc(len + 1, sizeof *acknowledged);
    size_t n = 0;
    bool good = all && acknowledged;
    for (size_t i = 0; good && i < len; i++) {
        bool marked = false;
        good = mark(ctl, given, fits[i], &marked);
        if (good && marked) { /* else another replay was faster */
            fits[n] = fits[i];
            all[n] = fits[i]->original;
            all[n++].topic = ctl->settings.kafka_request_topic;
        }
    }
    size_t sent =
        n ? send_messages(ctl, NULL, "rejected", all, n, acknowledged) : 0;
    for (size_t i = 0; i < n; i++) {
        if (acknowledged[i] && ctl->json) {
            json_object_set_new(fits[i]->about, "replayed", json_true());
            ctl_print_json(fits[i]->about);
        } else if (!acknowledged[i]) {
            fprintf(stderr,
                    "pixverse-ctl rejected: %s was not acknowledged, and may "
                    "have arrived all the same: --again sends it once more\n",
                    row_text(fits[i]->about, "id"));
        }
    }
    if (!ctl->json) {
        printf("%zu sent to %s, where they are judged afresh\n", sent,
               ctl->settings.kafka_request_topic);
    }
    free(all);
    free(acknowledged);
    return good && sent == n ? EXIT_DONE : EXIT_FAILED;
}

int rejecteds_replay(struct ctl *ctl, const struct options *given,
                     struct rejecteds *found)
{
    struct rejected **fits = calloc(found->len + 1, sizeof *fits);
    size_t len = 0;
    int status = found->len ? EXIT_DONE : EXIT_FAILED;
    for (size_t i = 0; fits && i < found->len; i++) {
        const char *why = obstacle(given, &found->all[i]);
        if (why) {
            order_refuse("rejected", "%s: %s",
                         row_text(found->all[i].about, "id"), why);
            status = given->words_len > 1 ? EXIT_FAILED : status;
        } else {
            fits[len++] = &found->all[i];
        }
    }
    if (found->left) {
        fprintf(stderr,
                "pixverse-ctl rejected: %zu more fit and are left for the next "
                "run\n",
                found->left);
    }
    if (!fits || len == 0) {
        fprintf(stderr, "pixverse-ctl rejected: nothing to replay\n");
    } else {
        switch (confirm(ctl, "rejected", given, "replay %zu message%s to %s",
                        len, len == 1 ? "" : "s",
                        ctl->settings.kafka_request_topic)) {
        case CONFIRM_DO: {
            int done = replay(ctl, given, fits, len);
            status = done == EXIT_DONE ? status : done;
            break;
        }
        case CONFIRM_DRY:
            break;
        case CONFIRM_NOT:
            status = EXIT_FAILED;
        }
    }
    free(fits);
    return status;
}
