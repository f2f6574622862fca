#ifndef EDGE_ADMIN_H
#define EDGE_ADMIN_H

#include "base/buf.h"
#include "base/err.h"
#include "edge/loop.h"

/**
 * Answers GET /healthz /readyz /metrics /scale /task?id=N. The server has
 * threads of its own; each question is put to the loop thread and waits for its
 * answer at most a second: a loop that hangs shows as 503.
 */
struct admin;

struct admin_answer {
    int status;               /* 0: no such path */
    const char *content_type; /* a constant */
    struct buf *body;
};

/** On the loop thread: fill the answer. A parameter `id` stands behind the
 * path:
 * "/task?id=12". */
typedef void admin_fn(void *context, struct str path,
                      struct admin_answer *answer);

/**
 * Slow clients keep nobody out: of more than 48 connections the oldest whose
 * question is not with the loop is ended.
 *
 * @param listen  "host:port"; port 0 takes a free one. [::] is every address of
 *                the machine, IPv4 too; a name is its first address of each
 *                family.
 */
struct admin *admin_open(struct loop *loop, const char *listen,
                         admin_fn *answer, void *context, struct err *err);
int admin_port(const struct admin *admin);

/**
 * host:port under which others reach what listens there: a wildcard becomes the
 * first address of this machine that leads here from elsewhere.
 *
 * @param listen  As ADMIN_LISTEN says.
 * @param port    The one that was taken.
 */
void admin_advertise(const char *listen, int port, char *out, size_t out_bytes);
void admin_close(struct admin *admin);

#endif
