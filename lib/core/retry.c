#include "core/retry.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>

#define RETRY_AFTER_MAX_MS 600000
#define TICK_MS 10
/* In shorter intervals a tick would be over 2 % of one. */
#define TICKED_FROM_MS 500

/** `random` as a fraction of `whole`, 0 to whole. */
static int64_t share(int64_t whole, uint32_t random)
{
    return (int64_t)((double)whole * ((double)random / (double)UINT32_MAX));
}

int64_t retry_wait_ms(int tries, int64_t base_ms, int64_t cap_ms,
                      uint32_t random)
{
    assert(base_ms >= 0 && cap_ms >= 0);
    int64_t whole_ms = base_ms;
    for (int i = 1; i < tries && whole_ms < cap_ms; i++) {
        whole_ms *= 2; /* below twice the cap: no overflow */
    }
    if (whole_ms > cap_ms) {
        whole_ms = cap_ms;
    }
    int64_t half_ms = whole_ms / 2;
    return half_ms + share(whole_ms - half_ms, random);
}

int64_t backoff_fail(struct backoff *backoff, int64_t cap_ms, uint32_t random)
{
    assert(cap_ms >= 1);
    if (backoff->fails < INT_MAX) {
        backoff->fails++;
    }
    int64_t wait_ms =
        retry_wait_ms(backoff->fails, BACKOFF_FIRST_MS, cap_ms, random);
    return wait_ms > 0 ? wait_ms : 1;
}

void backoff_good(struct backoff *backoff)
{
    backoff->fails = 0;
}

int64_t retry_jitter_ms(int64_t interval_ms, uint32_t random)
{
    assert(interval_ms >= 0);
    int64_t fifth_ms = interval_ms / 5;
    return interval_ms - fifth_ms + share(2 * fifth_ms, random);
}

/** splitmix64's finalizer: any two keys differ in half of their bits. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

int64_t retry_phase_ms(int64_t now_ms, int64_t interval_ms, int64_t key)
{
    assert(now_ms >= 0 && interval_ms >= 1);
    const int64_t tick_ms = interval_ms >= TICKED_FROM_MS ? TICK_MS : 1;
    const int64_t phase_ms =
        (int64_t)(mix((uint64_t)key) % (uint64_t)interval_ms);
    const int64_t from_ms = now_ms + interval_ms / 2 + 1;
    const int64_t over_ms = (from_ms + interval_ms - phase_ms) % interval_ms;
    const int64_t due_ms = over_ms ? from_ms + interval_ms - over_ms : from_ms;
    return due_ms - due_ms % tick_ms;
}

static int month_of(const char *name)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++) {
        if (memcmp(name, months + (size_t)i * 3, 3) == 0) {
            return i + 1;
        }
    }
    return 0;
}

/** Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days_of(int64_t year, int month, int day)
{
    /* Eras of 400 years that begin in March, so that leap days come last. */
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
           719468;
}

/** The three forms of RFC 9110 5.6.7; false if it is none of them. */
static bool read_date(const char *text, int64_t *time_ms)
{
    char name[4] = "";
    int year = 0;
    int day = 0;
    int h = 0;
    int m = 0;
    int s = 0;
    bool found = sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d",
                        &day, name, &year, &h, &m, &s) == 6 ||
                 sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%4d %2d:%2d:%2d",
                        &day, name, &year, &h, &m, &s) == 6 ||
                 sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d",
                        name, &day, &h, &m, &s, &year) == 6;
    int month = found ? month_of(name) : 0;
    if (!month || year < 0 || day < 1 || day > 31 || h < 0 || h > 23 || m < 0 ||
        m > 59 || s < 0 || s > 60) {
        return false;
    }
    if (year < 100) { /* two digits: RFC 850 */
        year += year < 70 ? 2000 : 1900;
    }
    *time_ms = ((days_of(year, month, day) * 24 + h) * 60 + m) * 60000 +
               (int64_t)s * 1000;
    return true;
}

static bool all_digits(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
    }
    return text.len > 0;
}

int64_t retry_after_ms(struct str header, int64_t now_ms)
{
    assert(now_ms >= 0);
    const struct str text = str_trim(header);
    int64_t wait_ms = 0;
    if (all_digits(text)) {
        int64_t seconds = 0;
        if (!str_to_i64(text, 0, RETRY_AFTER_MAX_MS / 1000, &seconds)) {
            return RETRY_AFTER_MAX_MS;
        }
        return seconds * 1000;
    }
    char copy[64];
    int64_t time_ms = 0;
    if (text.len == 0 || text.len >= sizeof copy) {
        return 0;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    if (!read_date(copy, &time_ms) || time_ms <= now_ms) {
        return 0;
    }
    wait_ms = time_ms - now_ms;
    return wait_ms < RETRY_AFTER_MAX_MS ? wait_ms : RETRY_AFTER_MAX_MS;
}
