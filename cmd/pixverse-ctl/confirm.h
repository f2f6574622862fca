#ifndef PIXVERSE_CTL_CONFIRM_H
#define PIXVERSE_CTL_CONFIRM_H

#include "ctl.h"

/* clang-format off */
#define CONFIRM_OPTIONS                                                        \
    {"--dry-run", NULL, "say what would be done, and do nothing", false},      \
    {"--yes", NULL, "do it without asking: for scripts", false}
/* clang-format on */

enum confirmed {
    CONFIRM_DO,
    CONFIRM_DRY, /* --dry-run: said so */
    CONFIRM_NOT, /* refused, or nobody to ask: said so */
};

/**
 * Whether it is to be done: --yes says so, or who sits at the terminal.
 *
 * @param format  What would be done, as "cancel 12 requests"; without a mark
 *                behind it.
 */
enum confirmed confirm(const struct ctl *ctl, const char *command,
                       const struct options *given, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
