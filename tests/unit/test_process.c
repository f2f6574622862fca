#include "lib/check.h"
#include "base/process.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

TEST_CASE(process_usage__a_process__has_used_something)
{
    struct process_usage usage;
    process_usage(&usage);
    assert_true(usage.cpu_seconds > 0);
    assert_true(usage.resident_bytes > 100000);
    assert_true(usage.virtual_bytes > usage.resident_bytes);
    assert_true(usage.start_seconds <= (double)time(NULL) + 1);
    assert_true(usage.start_seconds > (double)time(NULL) - 3600);
}

TEST_CASE(process_usage__descriptors__are_counted)
{
    struct process_usage before;
    struct process_usage after;
    process_usage(&before);
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    process_usage(&after);
    assert_true(after.open_fds == before.open_fds + 3);
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(after.max_fds == (double)limit.rlim_cur);
}

TEST_CASE(process_usage__work_is_done__cpu_grows)
{
    struct process_usage before;
    struct process_usage after;
    process_usage(&before);
    do {
        process_usage(&after);
    } while (after.cpu_seconds - before.cpu_seconds < 0.01);
    assert_true(after.start_seconds - before.start_seconds < 1);
}

TESTS_RUN(NULL, NULL)
