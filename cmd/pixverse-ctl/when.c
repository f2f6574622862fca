#include "when.h"

#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** "Z", or "+02:00"; what it is ahead of UTC. */
static bool read_zone(const char *text, int64_t *ahead_ms)
{
    *ahead_ms = 0;
    if ((text[0] == 'Z' || text[0] == 'z') && !text[1]) {
        return true;
    }
    int64_t hours = 0;
    int64_t minutes = 0;
    bool fine = (text[0] == '+' || text[0] == '-') && strlen(text) == 6 &&
                text[3] == ':' &&
                str_to_i64((struct str){text + 1, 2}, 0, 23, &hours) &&
                str_to_i64((struct str){text + 4, 2}, 0, 59, &minutes);
    *ahead_ms = (hours * 60 + minutes) * (text[0] == '-' ? -60000 : 60000);
    return fine;
}

/** ".25": thousandths; what is finer is left out. */
static const char *read_fraction(const char *text, int64_t *ms)
{
    int64_t unit = 100;
    *ms = 0;
    if (*text != '.' || !isdigit((unsigned char)text[1])) {
        return text;
    }
    for (text++; isdigit((unsigned char)*text); text++, unit /= 10) {
        *ms += (*text - '0') * unit;
    }
    return text;
}

bool when_utc(const struct tm *given, int64_t *time_ms)
{
    struct tm at = *given;
    *time_ms = (int64_t)timegm(&at) * 1000;
    return at.tm_mday == given->tm_mday && at.tm_mon == given->tm_mon;
}

bool when_read(const char *text, int64_t *time_ms)
{
    struct tm at = {0};
    int64_t ahead_ms = 0;
    int64_t ms = 0;
    if (str_to_i64(str_of(text), 1, INT64_MAX / 2, time_ms)) {
        return true;
    }
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &at);
    if (!end || !read_zone(read_fraction(end, &ms), &ahead_ms) ||
        !when_utc(&at, time_ms)) {
        return false;
    }
    *time_ms += ms - ahead_ms;
    return *time_ms > 0;
}

static int64_t unit_seconds(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 0;
    }
}

bool when_read_ago(const char *text, int64_t *time_ms)
{
    size_t len = strlen(text);
    int64_t number;
    int64_t unit_s = len > 1 ? unit_seconds(text[len - 1]) : 0;
    if (unit_s) {
        bool fine = str_to_i64((struct str){text, len - 1}, 0,
                               (int64_t)1000000000 / unit_s, &number);
        *time_ms = fine ? ((int64_t)time(NULL) - number * unit_s) * 1000 : 0;
        return fine;
    }
    struct tm day = {0};
    const char *end = strptime(text, "%Y-%m-%d", &day);
    if (end && *end == '\0') {
        return when_utc(&day, time_ms) && *time_ms > 0;
    }
    /* Without a zone it is UTC, as all times that are printed. */
    char zoned[64];
    struct tm at = {0};
    end = strptime(text, "%Y-%m-%dT%H:%M:%S", &at);
    int64_t ms;
    if (end && *read_fraction(end, &ms) == '\0' && len + 1 < sizeof zoned) {
        snprintf(zoned, sizeof zoned, "%sZ", text);
        text = zoned;
    }
    return when_read(text, time_ms);
}
