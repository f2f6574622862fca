#ifndef SIM_RULES_H
#define SIM_RULES_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { RULE_TEXT_BYTES = 300, RULE_ID_BYTES = 128 };

/** The provider's modes, in the order in which its page matches them. */
enum mode {
    MODE_TEXT,
    MODE_IMAGE,
    MODE_TRANSITION,
    MODE_FUSION,
    MODE_EXTEND,
};

/** A submission as the provider understands it. */
struct order {
    enum mode mode;
    uint32_t width, height; /* of the video, pixels */
    uint32_t seconds;
    bool audio;
    int64_t cost_micros;             /* millionths of the account's unit */
    char extend_from[RULE_ID_BYTES]; /* empty unless MODE_EXTEND */
};

/** Why it is refused: HTTP 400 invalid_request_error with this text. */
struct refusal {
    char text[RULE_TEXT_BYTES];
    const char *param; /* the field, or null */
};

/**
 * Check a body by the rules of the provider's page. Fields that it doesn't
 * know are ignored. Whether the sale to extend exists is the caller's to see.
 *
 * @return  false, with *refusal set, for a body that it refuses.
 */
bool rules_read(struct order *order, struct str body, struct refusal *refusal);

const char *rules_mode_name(enum mode mode);

#endif
