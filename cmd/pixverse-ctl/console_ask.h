#ifndef PIXVERSE_CTL_CONSOLE_ASK_H
#define PIXVERSE_CTL_CONSOLE_ASK_H

#include "console_own.h"

/** Pages, questions and orders. */

/** All that is asked; on threads of the server. */
void console_answer(void *context, const struct page_ask *ask,
                    struct page_answer *answer);

#endif
