#ifndef PIXVERSE_CTL_FILTER_H
#define PIXVERSE_CTL_FILTER_H

#include "ctl.h"

/**
 * Which requests are meant, in the words that list shows: for list, and for
 * orders about many.
 */

#define FILTER_STATES                                                          \
    "queued, submitting, running, ready, succeeded, completed, failed, late, " \
    "closed"

/* clang-format off */
#define FILTER_OPTIONS                                                         \
    {"--state", "STATE", FILTER_STATES ", or a kind of failure", true},        \
    {"--kind", "KIND", "that kind of failure, such as timed_out", true},       \
    {"--error", "TEXT", "text in the error, or in what a task waits for; capitals don't matter", false}, \
    {"--tenant", "NAME", "only this tenant's", false},                         \
    {"--account", "ACCOUNT", "sent by the account of this name", false}, \
    {"--since", "TIME", "received within 90s, 30m, 2h or 7d, or since 2026-11-22[T06:00:00]", false}, \
    {"--older-than", "TIME", "received before that", false}
/* clang-format on */

#define FILTER_PARAMS_LEN 12 /* $1..$12 of sql/query/ctl_found.sql */

struct filter {
    struct buf states; /* array literals; empty: all */
    struct buf pairs;
    struct buf kinds;
    struct buf error; /* a pattern of ILIKE */
    const char *tenant;
    const char *account;
    bool told;   /* told ones can fit */
    bool failed; /* nothing but failures fits */
    bool given;  /* anything was said */
    char since[24];
    char before[24];
};

/**
 * Read the words of FILTER_OPTIONS.
 *
 * @param filter  filter_done() is due in any case.
 * @return        false after saying which word is wrong and what is allowed.
 */
bool filter_read(struct filter *filter, const char *command,
                 const struct options *given);

/**
 * The parameters of :ctl_found.
 *
 * @param below  Only requests whose number is smaller; as text, kept.
 * @param limit  At most so many; as text, kept.
 */
void filter_params(const struct filter *filter, const char *below,
                   const char *limit, const char *params[FILTER_PARAMS_LEN]);

void filter_done(struct filter *filter);

/** Larger than the number of any request. */
#define FILTER_ALL "9223372036854775807"

/** How many fit, counted to `most` at the most; -1 after saying why not. */
int64_t filter_count(struct ctl *ctl, const struct filter *filter,
                     int64_t most);

#endif
