#ifndef PIXVERSE_CTL_CONSOLE_LIVE_H
#define PIXVERSE_CTL_CONSOLE_LIVE_H

#include "console_own.h"

/** The fleet, looked at again and again, for all who look. */

bool live_begin(struct console *console);
void live_end(struct console *console);

/** The newest look, and the plots' points. */
void live_overview(struct console *console, struct page_answer *answer);

/** Each look as it comes, as server-sent events. */
void live_stream(struct console *console, struct page_answer *answer);

#endif
