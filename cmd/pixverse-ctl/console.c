#include "console_ask.h"
#include "console_guard.h"
#include "console_live.h"
#include "console_video.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTEN_USUAL "127.0.0.1:8088"
#define BODY_BYTES_MAX 16384

#define SITE_BYTES 300

/* Scripts and styles are files of ours; nothing is loaded from elsewhere but
 * videos from where they are stored. */
#define CONTENT_POLICY                                                         \
    "default-src 'none'; script-src 'self'; style-src 'self'; "                \
    "img-src 'self'; media-src 'self' %s; connect-src 'self'; "                \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* clang-format off */
static const struct option options[] = {
    {"--listen", "HOST:PORT", "where; default " LISTEN_USUAL "; port 0 takes a free one", false},
    {"--auth-token-file", "FILE", "who looks needs this file's text; required where others than this machine reach it", false},
    {"--host", "NAME", "a name under which it is reached, beside addresses and localhost", true},
    {"--allow-orders", NULL, "retry, cancel (also by filter), attach, announce, pause and resume from the page", false},
    {"--json", NULL, "its address as a JSON object", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

static bool read_hosts(struct console *console, const struct options *given)
{
    for (size_t i = 0; i < given->len; i++) {
        const char *value = given->values[i].value;
        if (strcmp(given->values[i].name, "--host") != 0) {
            continue;
        }
        if (!value[0] || strpbrk(value, "/ :")) {
            ctl_usage("console",
                      "--host is \"%s\", allowed: a name without port, as "
                      "console.example.com",
                      value);
            return false;
        }
        if (console->hosts_len == HOSTS_MAX) {
            ctl_usage("console", "--host is given more than %d times",
                      HOSTS_MAX);
            return false;
        }
        console->hosts[console->hosts_len++] = value;
    }
    return true;
}

static void tell_address(const struct console *console, const char *listen)
{
    const int host_len = (int)(strrchr(listen, ':') - listen);
    const int port = pages_port(console->pages);
    if (console->ctl->json) {
        printf("{\"address\":\"http://%.*s:%d/\",\"port\":%d}\n", host_len,
               listen, port, port);
    } else {
        printf("http://%.*s:%d/ %s(Ctrl-C ends it)\n", host_len, listen, port,
               console->orders ? "takes orders " : "");
    }
    fflush(stdout);
}

static int serve(struct console *console, const char *listen)
{
    struct err err = {0};
    sigset_t ends;
    char site[SITE_BYTES];
    char policy[sizeof CONTENT_POLICY + SITE_BYTES];
    video_site(console, site, sizeof site);
    snprintf(policy, sizeof policy, CONTENT_POLICY, site);
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* in the server's threads, too */
    const struct pages_options pages = {.listen = listen,
                                        .content_policy = policy,
                                        .body_bytes_max = BODY_BYTES_MAX,
                                        .answer = console_answer,
                                        .context = console};
    if (!live_begin(console)) {
        fputs("pixverse-ctl console: no memory\n", stderr);
        return EXIT_FAILED;
    }
    console->pages = pages_open(&pages, &err);
    if (!console->pages) {
        fprintf(stderr, "pixverse-ctl console: %s\n", err.text);
        live_end(console);
        return EXIT_FAILED;
    }
    tell_address(console, listen);
    int signal_number = 0;
    sigwait(&ends, &signal_number);
    live_end(console); /* first: those who wait for a look go */
    pages_close(console->pages);
    return EXIT_DONE;
}

static int run(struct ctl *ctl, const struct options *given)
{
    static struct console console; /* large */
    const char *listen = options_get(given, "--listen");
    const char *token = options_get(given, "--auth-token-file");
    listen = listen ? listen : LISTEN_USUAL;
    if (given->words_len > 0) {
        return ctl_usage("console", "\"%s\" is one word too many",
                         given->words[0]);
    }
    if (!strrchr(listen, ':')) {
        return ctl_usage(
            "console",
            "--listen is \"%s\", allowed: host:port, as " LISTEN_USUAL, listen);
    }
    if (!token && !guard_is_loopback(listen)) {
        return ctl_usage("console",
                         "--listen is \"%s\", which others reach: without "
                         "--auth-token-file allowed: 127.0.0.1, [::1] or "
                         "localhost",
                         listen);
    }
    console.ctl = ctl;
    console.orders = options_has(given, "--allow-orders");
    if (!read_hosts(&console, given) ||
        (token && !guard_read_token(&console, token))) {
        free(console.token);
        return EXIT_USAGE;
    }
    pthread_mutex_init(&console.lock, NULL);
    int status = serve(&console, listen);
    pthread_mutex_destroy(&console.lock);
    free(console.token);
    return status;
}

const struct command command_console = {
    .name = "console",
    .usage = "[flags]",
    .help = "a page to look at, in a browser",
    .text = "Each page is one of these commands, and names it. Without\n"
            "--allow-orders nothing can be changed from it.\n\n"
            "Examples:\n"
            "  pixverse-ctl console\n"
            "  pixverse-ctl console --listen 0.0.0.0:8088 --auth-token-file "
            "/run/secrets/console\n",
    .options = options,
    .run = run,
    .spawns = true,
};
