#ifndef CORE_LOGIN_H
#define CORE_LOGIN_H

#include "base/str.h"

#include <stdbool.h>

/**
 * At which step a connection to Kafka failed, read from what librdkafka says
 * of it (2.0 and 2.8 are tried), and what an operator does about it.
 */
struct login_step {
    const char *name;   /* a short phrase; null: the words name no step */
    const char *advice; /* with name */
    /* It fails the same way until somebody changes something: a server that
     * is only starting doesn't answer so. */
    bool lasting;
};

struct login_step login_step_of(struct str words);

#endif
