#include "commands.h"

#include "flow/worker.h"

int command_run(const struct settings *settings)
{
    switch (worker_run(settings)) {
    case WORKER_DONE:
        return EXIT_DONE;
    case WORKER_MISFIT:
        return EXIT_MISFIT;
    case WORKER_FAILED:
        break;
    }
    return EXIT_FAILED;
}
