#ifndef PIXVERSE_CTL_CONSOLE_REPLY_H
#define PIXVERSE_CTL_CONSOLE_REPLY_H

#include "console_own.h"

/** Answers in JSON. */

/** {"error":"…"} with that status. */
void console_refuse(struct page_answer *answer, int status, const char *format,
                    ...) __attribute__((format(printf, 3, 4)));

/** Lines of JSON objects as the elements of an array, without its brackets. */
void console_add_rows(struct buf *out, struct str lines);

#endif
