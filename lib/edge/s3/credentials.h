#ifndef EDGE_S3_CREDENTIALS_H
#define EDGE_S3_CREDENTIALS_H

#include "base/list.h"
#include "core/sigv4.h"
#include "edge/loop.h"
#include "edge/web/wire.h"

/**
 * Keys for S3 or Kafka, found as AWS's tools find them, the first of: the
 * environment, a web identity (EKS), the profile in the shared files (its keys,
 * its process, its roles), the container's endpoint, the instance's metadata
 * (version 2). Fetched when first wanted and again before they expire; never
 * logged. Files are read on another thread.
 */
struct credentials;

/** Somebody who waits; in the caller's memory. */
struct credentials_wait {
    struct list link;
    /** `why` is null if there are keys now, else a sentence without secrets. */
    void (*on_end)(void *context, const char *why);
    void *context;
};

/**
 * @param wire      Must stay open longer.
 * @param whom_for  "S3", for words; must stay.
 */
struct credentials *credentials_open(struct loop *loop, struct wire *wire,
                                     const char *whom_for);

/** Keys that are good now, until the loop's next turn; null: want them. */
const struct sigv4_key *credentials_now(struct credentials *credentials);

/** How long those are good, most_ms at most. */
int64_t credentials_life_ms(const struct credentials *credentials,
                            int64_t most_ms);

/** on_end comes once, after this has returned, unless forgotten. */
void credentials_want(struct credentials *credentials,
                      struct credentials_wait *wait);
void credentials_forget(struct credentials_wait *wait);

/** The number of those of credentials_now(): another one with each fetch. */
uint32_t credentials_issue(const struct credentials *credentials);

/**
 * The store says that those of this issue have run out or are wrong. Of several
 * calls that were signed with them, each may say so.
 *
 * @return  true: newer ones are there or on their way; false: there are none.
 */
bool credentials_renew(struct credentials *credentials, uint32_t issue);

/**
 * The store refused one call, and may be right about that call alone (a policy
 * without this very right): fresh ones are fetched beside the old ones, which
 * go on to be used meanwhile and where none can be had.
 */
void credentials_doubt(struct credentials *credentials);

/**
 * The region of the environment or the profile. Reads a file at once: at the
 * start, before the loop turns.
 *
 * @param region  Null: neither says one.
 * @return        false: the profile's file is there and can't be read.
 */
MUST_CHECK bool credentials_region(struct credentials *credentials,
                                   const char **region, struct err *err);

/**
 * S3's endpoint of AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile, not
 * judged yet; AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true: none. Reads a file at
 * once, too.
 *
 * @param endpoint  Null: none says one.
 * @param from      Who does.
 * @return          false: as credentials_region().
 */
MUST_CHECK bool credentials_endpoint(struct credentials *credentials,
                                     const char **endpoint, const char **from,
                                     struct err *err);

void credentials_close(struct credentials *credentials); /* null: accepted */

#endif
