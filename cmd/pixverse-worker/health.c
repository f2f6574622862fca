#include "commands.h"

#include "edge/http.h"

#include <stdio.h>
#include <string.h>

/*
 * The probe of a container or a unit: the worker beside it is asked at its
 * admin address.
 */

#define ASK_MS 3000 /* the worker itself answers within one */

struct probe {
    struct loop *loop;
    const char *address; /* host:port */
    const char *path;
    bool fine;
};

static void on_reply(void *context, const struct reply *reply)
{
    struct probe *probe = context;
    if (reply->end != REPLY_WHOLE) {
        fprintf(stderr,
                "no answer from http://%s%s: %s; does the worker run, with "
                "this ADMIN_LISTEN?\n",
                probe->address, probe->path,
                reply->why[0] ? reply->why : reply_end_name(reply->end));
    } else {
        probe->fine = reply->status == 200;
        FILE *out = probe->fine ? stdout : stderr;
        fprintf(out, "http://%s%s: %d %.*s", probe->address, probe->path,
                reply->status, (int)reply->body.len,
                reply->body.len ? reply->body.at : "");
        if (!reply->body.len || !str_ends(reply->body, STR("\n"))) {
            fputc('\n', out);
        }
    }
    loop_stop(probe->loop);
}

static bool ask(struct probe *probe)
{
    char url[400];
    const struct http_options options = {.connections_max = 1};
    struct err err = {0};
    struct http *http = NULL;
    snprintf(url, sizeof url, "http://%s%s", probe->address, probe->path);
    const struct exchange exchange = {.method = EXCHANGE_GET,
                                      .url = str_of(url)};
    probe->loop = loop_open(&err);
    if (probe->loop) {
        http = http_open(probe->loop, &options, &err);
    }
    if (http &&
        http_send(http, &exchange, ASK_MS, NULL, on_reply, probe, &err)) {
        loop_run(probe->loop);
    } else {
        fprintf(stderr, "can't ask http://%s%s: %s\n", probe->address,
                probe->path, err.text);
    }
    if (http) {
        http_close(http);
    }
    if (probe->loop) {
        loop_close(probe->loop);
    }
    return probe->fine;
}

/** Who listens on all addresses is asked on the loopback; false: no port. */
static bool find_address(const char *listen, char *out, size_t bytes)
{
    const char *port = strrchr(listen, ':');
    if (!port || strspn(port + 1, "0") == strlen(port + 1)) {
        return false;
    }
    struct str host = {listen, (size_t)(port - listen)};
    if (str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("[::]"))) {
        host = STR("127.0.0.1");
    }
    snprintf(out, bytes, "%.*s%s", (int)host.len, host.at, port);
    return true;
}

static int health(const struct settings *settings, const char *path)
{
    char address[300];
    if (!find_address(settings->admin_listen, address, sizeof address)) {
        fprintf(stderr,
                "ADMIN_LISTEN \"%s\" is a free port, which is known to the "
                "worker alone; give it a port, such as 127.0.0.1:9464\n",
                settings->admin_listen);
        return EXIT_USAGE;
    }
    struct probe probe = {.address = address, .path = path};
    return ask(&probe) ? EXIT_DONE : EXIT_FAILED;
}

int command_health(const struct settings *settings)
{
    return health(settings, "/healthz");
}

int command_health_ready(const struct settings *settings)
{
    return health(settings, "/readyz");
}
