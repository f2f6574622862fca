#include "api.h"
#include "broker.h"
#include "fault.h"
#include "options.h"
#include "server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/** pixverse-sim: the outside world on one machine. */

static const char HELP[] =
    "pixverse-sim: the outside world of pixverse-worker, simulated\n"
    "\n"
    "pixverse-sim api [flags]      the video provider: submissions, polls, "
    "videos,\n"
    "                              faults to order, a ledger of what it "
    "billed\n"
    "pixverse-sim broker [flags]   an embedded Kafka for a first try\n"
    "pixverse-sim version\n"
    "pixverse-sim --help           also after `api` and `broker`\n";

static const char API_HELP[] =
    "pixverse-sim api: the video provider, simulated\n"
    "\n"
    "  POST /v1/videos/generations   GET /v1/tasks/{id}   GET /f/video/…\n"
    "  GET /v1/model-schema   GET /v1/user/balance   GET /v1/balance\n"
    "  GET /sim/ledger        what was accepted and billed (?summary=1: totals "
    "only;\n"
    "                         ?sha256=0: without the videos' hashes;\n"
    "                         ?polled_since=MS: only tasks polled since)\n"
    "  GET /sim/stats         counts, cheap to ask for\n"
    "  POST /sim/faults       order faults; GET lists them, DELETE ends them\n"
    "  POST /sim/reset        forget everything\n"
    "\n";

static const char API_HELP_END[] =
    "\n"
    "The kinds of faults are in the table of cmd/pixverse-sim/README.md.\n"
    "Ready when stdout has the line `listening on http://HOST:PORT`. SIGTERM "
    "and\n"
    "SIGINT end it.\n";

static struct world world;

static bool asks_help(int count, char **args)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(args[i], "--help") == 0 || strcmp(args[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    (void)number;
    uv_signal_stop(signal);
    server_close(server);
}

static int serve(const struct options *options)
{
    static uv_loop_t loop;
    uv_signal_t signals[2];
    struct server *server = NULL;
    struct err err = {0};
    const struct server_calls calls = {
        .on_accept = api_on_accept,
        .on_head = api_on_head,
        .on_request = api_on_request,
        .context = &world,
    };
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&loop);
    if (!server_open(&server, &loop, options->host, options->port, &calls,
                     &err)) {
        fprintf(stderr, "pixverse-sim: %s\n", err.text);
        uv_run(&loop, UV_RUN_DEFAULT);
        return 1;
    }
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&loop, &signals[i]);
        signals[i].data = server;
        uv_signal_start(&signals[i], on_signal, i == 0 ? SIGTERM : SIGINT);
        uv_unref((uv_handle_t *)&signals[i]);
    }
    const bool six = strchr(options->host, ':') != NULL;
    printf("listening on http://%s%s%s:%d\n", six ? "[" : "", options->host,
           six ? "]" : "", server_port(server));
    fflush(stdout);
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 2; i++) {
        uv_close((uv_handle_t *)&signals[i], NULL);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return 0;
}

static int run_api(int count, char **args)
{
    struct options options;
    struct err err = {0};
    if (asks_help(count, args)) {
        printf("%s%s%s", API_HELP, OPTIONS_HELP, API_HELP_END);
        return 0;
    }
    if (!options_read(&options, count, args, &err)) {
        fprintf(stderr, "pixverse-sim api: %s\n", err.text);
        return 2;
    }
    world_init(&world, &options);
    if (options.faults &&
        !faults_add_spec(&world.faults, options.faults, &err)) {
        fprintf(stderr, "pixverse-sim api: --faults: %s\n", err.text);
        world_done(&world);
        return 2;
    }
    int status = serve(&options);
    world_done(&world);
    return status;
}

int main(int count, char **args)
{
    const char *command = count > 1 ? args[1] : "";
    if (strcmp(command, "api") == 0) {
        return run_api(count - 2, args + 2);
    }
    if (strcmp(command, "broker") == 0) {
        return broker_run(count - 2, args + 2);
    }
    if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0) {
        printf("pixverse-sim %s\n", PROGRAM_VERSION);
        return 0;
    }
    if (asks_help(count - 1, args + 1) || strcmp(command, "help") == 0) {
        printf("%s", HELP);
        return 0;
    }
    fprintf(stderr,
            "pixverse-sim: %s%s, allowed: api, broker, version, "
            "--help\n",
            count > 1 ? "unknown command " : "no command given",
            count > 1 ? command : "");
    return 2;
}
