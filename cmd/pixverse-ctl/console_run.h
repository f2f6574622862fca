#ifndef PIXVERSE_CTL_CONSOLE_RUN_H
#define PIXVERSE_CTL_CONSOLE_RUN_H

#include "base/buf.h"

#include <stdbool.h>

/**
 * What the console shows is what pixverse-ctl says: each question and order is
 * this program again, with --json, as a process of its own. So it has its own
 * connection, the same words and faults, and a limit in time; and a page can
 * name the command that says the same.
 */

#define CONSOLE_ARGS_MAX 40

/** A command's words, without the program's name; copies. */
struct console_args {
    char *words[CONSOLE_ARGS_MAX + 1]; /* ends with null */
    size_t len;
    bool failed; /* too many, or no memory */
};

void console_args_add(struct console_args *args, const char *word);

/** "--name=value": a value can't become a flag. */
void console_args_flag(struct console_args *args, const char *name,
                       const char *value);
void console_args_done(struct console_args *args);

/** As one would type it, for people: without --json. */
void console_args_line(const struct console_args *args, struct buf *line);

/** How a command ended. */
struct console_run {
    int status; /* its exit status; -1: it was ended for taking too long, or
                   said too much, or never began */
    struct buf out;
    struct buf err;
};

/**
 * Run it and wait, some seconds at most. Several at once wait for each other
 * above a limit.
 *
 * @param environment  The child's, with its secrets.
 */
void console_run(struct console_run *run, const struct console_args *args,
                 char *const *environment);
void console_run_done(struct console_run *run);

#endif
