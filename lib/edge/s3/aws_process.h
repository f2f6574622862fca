#ifndef EDGE_S3_AWS_PROCESS_H
#define EDGE_S3_AWS_PROCESS_H

#include "base/buf.h"

#include <stdatomic.h>

/** A credential_process: a command that prints keys. Blocking: for a thread
 * that may wait. For credentials.c and its sources only. */
struct aws_process {
    atomic_bool stop; /* by another thread: it is killed, soon */
    bool ran;
    struct buf out; /* secret: aws_wipe() ends it */
    char why[120];  /* "": it ended well, all is in `out` */
};

void aws_process_init(struct aws_process *process);

/**
 * Without a shell, its standard error nowhere, with the environment of this
 * process. After a minute, or beyond 64 KiB, it is killed with all that it
 * began.
 */
void aws_process_run(struct aws_process *process, struct str command);

#endif
