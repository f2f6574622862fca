#include "base/crashpoint.h"
#include "lib/check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/** The signal that ends a process which passes `name` so many times; 0:
 * none. */
static int ends_by(const char *armed, const char *name, int times)
{
    pid_t child = fork();
    if (child == 0) {
        if (armed) {
            setenv("PIXVERSE_CRASHPOINT", armed, 1);
        } else {
            unsetenv("PIXVERSE_CRASHPOINT");
        }
        for (int i = 0; i < times; i++) {
            crashpoint_reached(name);
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST_CASE(crashpoint_reached__the_armed_one__kills)
{
    assert_int_equal(ends_by("claim", "claim", 1), SIGKILL);
    assert_int_equal(ends_by(NULL, "claim", 3), 0);
    assert_int_equal(ends_by("claim", "claim_after", 3), 0);
    assert_int_equal(ends_by("claim_after", "claim", 3), 0);
}

TEST_CASE(crashpoint_reached__a_count__kills_at_that_time_only)
{
    assert_int_equal(ends_by("claim:3", "claim", 2), 0);
    assert_int_equal(ends_by("claim:3", "claim", 3), SIGKILL);
}

TESTS_RUN(NULL, NULL)
