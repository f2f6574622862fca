#ifndef PIXVERSE_CTL_CONSOLE_GUARD_H
#define PIXVERSE_CTL_CONSOLE_GUARD_H

#include "console_own.h"

/** Who may ask the console. */

/** Reads the token's file; false after saying what is wrong with it. */
bool guard_read_token(struct console *console, const char *path);

/** Whether `listen` is of this machine alone. */
bool guard_is_loopback(const char *listen);

/** false: the answer says why not. */
bool guard_lets_in(struct console *console, const struct page_ask *ask,
                   struct page_answer *answer);

/** /api/login and /api/logout. */
void guard_login(struct console *console, const struct page_ask *ask,
                 struct page_answer *answer);
void guard_logout(struct console *console, const struct page_ask *ask,
                  struct page_answer *answer);

#endif
