#ifndef CORE_KEYS_H
#define CORE_KEYS_H

#include "base/settings.h"

#include <stdint.h>

/**
 * Whether the provider honours idempotency keys, and what follows from it for a
 * submission without an answer (CONTRACT `SUBMIT_DOUBT`).
 */

/** The numbers are stored (account.keys_answer): never another one. */
enum keys_answer {
    KEYS_NO_ANSWER,
    KEYS_HONOURED,
    KEYS_IGNORED,
    /* the last: one key brought two ids, whatever the provider says */
    KEYS_BROKEN,
};

/** What a stored number means; KEYS_NO_ANSWER where only a later program
 * knows. */
enum keys_answer keys_answer_of(int64_t number);

/** What to do: `setting` decides, and `answer` where that leaves it open. */
enum submit_doubt keys_doubt(enum submit_doubt setting,
                             enum keys_answer answer);

#endif
