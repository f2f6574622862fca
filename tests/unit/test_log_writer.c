#include "base/log_writer.h"
#include "lib/check.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/** Standard error is a pipe whose end is held, or a file. */
static int swap_stderr(int to)
{
    int old = dup(STDERR_FILENO);
    assert_true(dup2(to, STDERR_FILENO) >= 0);
    return old;
}

/** In this order: a program's standard error is looked at once. */
TEST_CASE(log_writer_put__a_pipe_that_nobody_reads__loses_and_counts)
{
    int ends[2];
    static char line[65536];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    assert_int_equal(pipe(ends), 0);
    int old = swap_stderr(ends[1]);
    for (int i = 0; i < 64; i++) { /* 4 MiB: four times its buffer */
        log_writer_put(line, sizeof line);
    }
    bool flushed = log_writer_flush(10);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);

    static char taken[1 << 16]; /* somebody reads at last */
    size_t whole = 0;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    while (!log_writer_flush(1)) {
        ssize_t got = read(ends[0], taken, sizeof taken);
        whole += got > 0 ? (size_t)got : 0;
    }
    ssize_t got;
    while ((got = read(ends[0], taken, sizeof taken)) > 0) {
        whole += (size_t)got;
    }
    uint64_t lost = log_writer_take_lost();
    dup2(old, STDERR_FILENO);
    assert_false(flushed);
    assert_true(lost > 0);
    assert_int_equal(whole, (64 - lost) * sizeof line); /* no half line */
    close(ends[0]);
    close(ends[1]);
    close(old);
}

TESTS_RUN(NULL, NULL)
