#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include "base/settings.h"

#include <stdbool.h>
#include <stdint.h>

/** What decisions depend on besides the task: settings, and what is known of
 * the provider. */

struct policy {
    int64_t poll_interval_ms;
    int64_t submit_timeout_ms;
    int64_t deadline_ms;   /* from acceptance, where the request names none */
    int64_t late_ms;       /* from acceptance */
    int64_t chain_wait_ms; /* that a request waits for the one it extends */
    int attempts_max;      /* after the first, where the provider had no room */
    enum submit_doubt doubt; /* of keys_doubt(): AUTO waits for an answer */
    int64_t key_lifetime_ms; /* the provider's, 86,400,000 by default */
    const char *account;     /* ours: the step compares it with the row's */
    uint32_t jitter;         /* random bits for this one step */
    bool transfer_free;      /* what is finished now is fetched at once */
};

#endif
