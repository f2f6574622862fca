#include "ctl.h"

#include "send.h"
#include "submit_read.h"
#include "wait.h"

#include <stdio.h>

static void print_sent(const struct ctl *ctl,
                       const struct submissions *submissions)
{
    for (size_t i = 0; i < submissions->len; i++) {
        struct str id = submissions->all[i].request.request_id;
        if (ctl->json) {
            printf("{\"request_id\":\"%.*s\",\"sent\":true}\n", (int)id.len,
                   id.at);
        } else {
            printf("sent %.*s\n", (int)id.len, id.at);
        }
    }
    fflush(stdout);
}

static int send_and_wait(struct ctl *ctl, struct loop *loop, bool waits,
                         const struct submissions *submissions)
{
    struct wait *wait = waits ? wait_begin(ctl, loop, submissions) : NULL;
    if (waits && !wait) {
        fprintf(stderr, "pixverse-ctl submit: nothing was sent; --wait reads "
                        "the database, without it only Kafka is needed\n");
        return EXIT_FAILED;
    }
    int status = EXIT_FAILED;
    if (send_all(ctl, loop, submissions)) {
        status = EXIT_DONE;
        if (wait) {
            status = wait_run(wait);
        } else {
            print_sent(ctl, submissions);
        }
    }
    wait_end(wait);
    return status;
}

static void print_values(const struct submissions *submissions)
{
    for (size_t i = 0; i < submissions->len; i++) {
        struct str value = submissions->all[i].value;
        fwrite(value.at, 1, value.len, stdout);
        putchar('\n');
    }
}

static int submit(struct ctl *ctl, struct loop *loop,
                  const struct options *given, struct arena *arena)
{
    struct submissions submissions = {0};
    const char *file = options_get(given, "--file");
    bool read = file ? submissions_of_file(&submissions, file, arena)
                     : submissions_of_flags(&submissions, given,
                                            loop_random(loop), arena);
    int status = EXIT_USAGE;
    if (read && !submissions_judge(&submissions, ctl->json, arena)) {
        fprintf(stderr, "nothing was sent\n");
    } else if (read && options_has(given, "--dry-run")) {
        print_values(&submissions);
        status = EXIT_DONE;
    } else if (read) {
        status = send_and_wait(ctl, loop, options_has(given, "--wait"),
                               &submissions);
    }
    submissions_done(&submissions);
    return status;
}

static int run(struct ctl *ctl, const struct options *given)
{
    const char *flag = submit_request_flag(given);
    if (given->words_len > 0) {
        return ctl_usage("submit",
                         "\"%s\" is no flag; a text goes behind "
                         "--prompt, in quotes",
                         given->words[0]);
    }
    if (options_has(given, "--file") && flag) {
        return ctl_usage("submit", "--file brings whole messages: leave out %s",
                         flag);
    }
    if (!options_has(given, "--file") && !flag) {
        return ctl_usage("submit", "it wants a --prompt or a --file");
    }
    struct err err = {0};
    struct loop *loop = loop_open(&err);
    if (!loop) {
        fprintf(stderr, "pixverse-ctl: %s\n", err.text);
        return EXIT_FAILED;
    }
    struct arena arena;
    arena_init(&arena, 1 << 16, 0);
    int status = submit(ctl, loop, given, &arena);
    arena_done(&arena);
    loop_close(loop);
    return status;
}

const struct command command_submit = {
    .name = "submit",
    .usage = "[flags]",
    .help = "ask for a video, or many",
    .text =
        "A faulty request is named with all its faults and not sent (status "
        "2).\nWith --wait the status is 0 if all were completed, else 1.\n\n"
        "Examples:\n"
        "  pixverse-ctl submit --prompt \"a kite over the sea\" --wait\n"
        "  pixverse-ctl submit --id order-1234.clip-1 --prompt \"day turns "
        "into "
        "night\" \\\n"
        "      --first-frame https://example.com/day.jpg \\\n"
        "      --last-frame https://example.com/night.jpg --duration 8\n"
        "  pixverse-ctl submit --file requests.jsonl --wait --json\n",
    .options = submit_options,
    .run = run,
};
