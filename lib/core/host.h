#ifndef CORE_HOST_H
#define CORE_HOST_H

#include "base/str.h"

#include <stdbool.h>

#define HOST_BYTES_MAX 253 /* of a name in ASCII (RFC 1035 3.1) */

/**
 * The ASCII form of a host name in any script ("xn--…", RFC 3492), mapped as
 * browsers do (UTS 46): capitals become small, full-width letters and dots
 * plain, letters with their mark behind them one letter.
 *
 * @param host  UTF-8.
 * @param out   Room for the name and a NUL; untouched if false.
 * @return      false where the form isn't certain: a script or sign whose
 *              mapping is not known here, or a name that is too long.
 */
bool host_to_ascii(struct str host, char out[static HOST_BYTES_MAX + 1]);

#endif
