#include "base/crashpoint.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In an archive, and never asked for in a build without points. */

static atomic_long passed;

void crashpoint_reached(const char *name)
{
    const char *armed = getenv("PIXVERSE_CRASHPOINT");
    const size_t len = strlen(name);
    if (!armed || strncmp(armed, name, len) != 0 ||
        (armed[len] != '\0' && armed[len] != ':')) {
        return;
    }
    const long wanted = armed[len] ? strtol(armed + len + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 == wanted) {
        kill(getpid(), SIGKILL);
        for (;;) {
            pause(); /* no step further, whichever thread takes the signal */
        }
    }
}
