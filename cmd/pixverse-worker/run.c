#include "commands.h"

#include "base/log.h"
#include "edge/loop.h"
#include "flow/worker.h"

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

/** Beside transfers: connecting, the bucket's sweep and probe. */
#define OTHER_WORK 4

int command_run(const struct settings *settings)
{
    /* A transfer mostly waits for the disk: libuv's four threads would have
     * half of them wait for each other. */
    loop_threads(settings->transfers_max + OTHER_WORK);
    switch (worker_run(settings)) {
    case WORKER_DONE:
        return EXIT_DONE;
    case WORKER_MISFIT:
        leave_at_once(EXIT_MISFIT);
    case WORKER_FAILED:
        break;
    }
    leave_at_once(EXIT_FAILED);
}
