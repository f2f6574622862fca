#ifndef PIXVERSE_CTL_WHEN_H
#define PIXVERSE_CTL_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/** A time that a person wrote: RFC 3339 with a zone, or milliseconds of Unix
 * time; after 1970. */
bool when_read(const char *text, int64_t *time_ms);

#endif
