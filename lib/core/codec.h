#ifndef CORE_CODEC_H
#define CORE_CODEC_H

#include "base/str.h"

#include <stdbool.h>

#define CODEC_BYTES 48 /* with the NUL */

/**
 * The name of a track's coding, as `codecs` of a MIME type has it (RFC 6381,
 * 3.3; for HEVC ISO/IEC 14496-15, annex E; AV1 and VP9 by their bindings).
 *
 * @param stsd  The body of the track's sample descriptions; the first counts.
 * @param out   The name, letters, digits and ".-_+" only; "": it can't be told.
 */
void codec_name(struct str stsd, bool video, char out[static CODEC_BYTES]);

#endif
