#ifndef PIXVERSE_CTL_CONSOLE_VIDEO_H
#define PIXVERSE_CTL_CONSOLE_VIDEO_H

#include "console_own.h"

/** Videos, from where they are stored. */

/** The stored file of a request's video, which the parameters name. */
void video_answer(struct console *console, const struct page_ask *ask,
                  struct page_answer *answer);

/** From where videos are played besides the console itself, as a source of
 * Content-Security-Policy; "": nowhere. */
void video_site(const struct console *console, char *out, size_t out_bytes);

#endif
