#include "core/keys.h"

#include <assert.h>

enum keys_answer keys_answer_of(int64_t number)
{
    return number > KEYS_NO_ANSWER && number <= KEYS_BROKEN
               ? (enum keys_answer)number
               : KEYS_NO_ANSWER;
}

enum submit_doubt keys_doubt(enum submit_doubt setting, enum keys_answer answer)
{
    static const enum submit_doubt by_answer[] = {
        [KEYS_NO_ANSWER] = DOUBT_AUTO,
        [KEYS_HONOURED] = DOUBT_REPLAY,
        [KEYS_IGNORED] = DOUBT_SETTLE,
        [KEYS_BROKEN] = DOUBT_SETTLE,
    };
    static_assert(sizeof by_answer / sizeof *by_answer == KEYS_BROKEN + 1,
                  "each answer decides");
    assert(answer >= 0 && answer <= KEYS_BROKEN);
    return setting == DOUBT_AUTO ? by_answer[answer] : setting;
}
