#ifndef PIXVERSE_CTL_WHEN_H
#define PIXVERSE_CTL_WHEN_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/** As UTC; false: there is no such day, as the 31st of November. */
bool when_utc(const struct tm *at, int64_t *time_ms);

/** A time that a person wrote: RFC 3339 with a zone, or milliseconds of Unix
 * time; after 1970. */
bool when_read(const char *text, int64_t *time_ms);

#define WHEN_AGO_ALLOWED                                                       \
    "90s, 30m, 2h or 7d ago, a day as 2026-11-22, or a time as "               \
    "2026-11-22T06:00:00 (UTC, or with a zone behind it)"

/** WHEN_AGO_ALLOWED: how long ago, by this machine's clock, or a time. */
bool when_read_ago(const char *text, int64_t *time_ms);

#endif
