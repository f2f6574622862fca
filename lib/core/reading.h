#ifndef CORE_READING_H
#define CORE_READING_H

#include "core/detail.h"
#include "core/json.h"

#include <stdbool.h>

/** How a message is read: what is found wrong goes on, and on, and is counted.
 * For the files of `request` only. */

/** One message being read: where its faults and warnings go. */
struct reading {
    struct arena *arena;
    struct details faults;
    struct details warnings;
    size_t faults_all; /* the details keep REQUEST_DETAILS_MAX of them */
    size_t warnings_all;
};

/** Copies what it keeps; past REQUEST_DETAILS_MAX it only counts. */
void reading_fault(struct reading *reading, struct str field, const char *code,
                   const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void reading_warning(struct reading *reading, struct str field,
                     const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** In the last place of each, how many there are besides. */
void reading_count_rest(struct reading *reading);

/** Whether a fault from now on is only counted: no words need be found for it,
 * and no memory taken. */
bool reading_is_full(const struct reading *reading);

/** A value for a message, cut at 100 code points; never a URL's query. */
const char *reading_quote(struct reading *reading, const json_t *value);

/**
 * Fault for a name that no table has.
 *
 * @param nearest  The name that was probably meant, or null.
 * @param place    Where a field of that very name belongs, or null.
 */
void reading_unknown(struct reading *reading, struct str name,
                     const char *nearest, const char *place);

#endif
