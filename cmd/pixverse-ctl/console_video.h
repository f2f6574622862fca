#ifndef PIXVERSE_CTL_CONSOLE_VIDEO_H
#define PIXVERSE_CTL_CONSOLE_VIDEO_H

#include "console_own.h"

/** Videos, from where they are stored. */

/** The stored file of a request's video, which the parameters name. */
void video_answer(struct console *console, const struct page_ask *ask,
                  struct page_answer *answer);

#endif
