#ifndef BASE_LOG_WRITER_H
#define BASE_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Lines to standard error from threads that must not wait for who reads them. A
 * file is written at once; for a pipe, a terminal or a socket a thread of its
 * own waits, behind a buffer of 1 MiB. The descriptor's flags stay as they are:
 * they belong to everybody who inherited it.
 */

/**
 * A line, its line break included. Returns when it is written, so that a crash
 * after that loses none, but after 20 ms at most; while nobody takes what is
 * there, at once. A line for which the buffer has no room is counted, and gone.
 */
void log_writer_put(const char *line, size_t len);

/** Lines lost since the last call; 0 as long as there is hardly room to say
 * so. */
uint64_t log_writer_take_lost(void);

/** Waits until everything is written, for limit_ms at most; false: it is
 * not. */
bool log_writer_flush(int64_t limit_ms);

#endif
