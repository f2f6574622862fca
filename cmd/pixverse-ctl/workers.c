#include "ctl.h"

#include "vitals.h"

#include <stdio.h>

/* clang-format off */
static const struct option options[] = {
    {"--json", NULL, "one JSON object a worker", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

static int run(struct ctl *ctl, const struct options *given)
{
    if (given->words_len > 0) {
        return ctl_usage("workers", "\"%s\" is one word too many",
                         given->words[0]);
    }
    json_t *workers = vitals_read(ctl);
    size_t i;
    const json_t *row;
    if (!workers) {
        return EXIT_FAILED;
    }
    if (!ctl->json && json_array_size(workers) == 0) {
        puts("no worker runs");
    } else if (!ctl->json) {
        vitals_print(ctl, workers);
    }
    json_array_foreach(workers, i, row)
    {
        if (ctl->json) {
            ctl_print_json(row);
        }
    }
    json_decref(workers);
    return EXIT_DONE;
}

const struct command command_workers = {
    .name = "workers",
    .usage = "[flags]",
    .help = "who works, and on how much",
    .text = "Those whose lease is alive, as each said within the last ten "
            "seconds: IS draining,\nheld (nothing is submitted: holds say "
            "why), intake paused (too much waits), starts\n(it has said "
            "nothing yet) or silent (nothing for half a minute). Rates are "
            "those of the\nlast ten seconds, a minute; LATE is how long "
            "something has been due.\n\n"
            "Examples:\n"
            "  pixverse-ctl workers\n"
            "  pixverse-ctl workers --json | jq -r .version | sort | uniq -c\n",
    .options = options,
    .run = run,
};
