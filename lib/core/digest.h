#ifndef CORE_DIGEST_H
#define CORE_DIGEST_H

#include "base/str.h"

#include <stdbool.h>

#define DIGEST_BYTES 32
#define DIGEST_HEX_BYTES 65 /* with the NUL */

/** A SHA-256 that grows with the stream. Opaque: libcrypto's context. */
struct digest;

struct digest *digest_new(void); /* null: no memory */
void digest_add(struct digest *digest, const void *bytes, size_t len);

/** The sum of all that was added; the digest starts afresh. */
void digest_end(struct digest *digest, unsigned char out[DIGEST_BYTES]);
void digest_free(struct digest *digest);

/** SHA-256 of one piece. */
void digest_of(struct str bytes, unsigned char out[DIGEST_BYTES]);

/** UUIDv5 (RFC 9562) of `name` in the URL namespace, as 36 characters. */
void digest_uuid5_url(struct str name, char out[static 37]);

/** 16 bytes as the text of a UUID of that version (RFC 9562). */
void digest_uuid(const unsigned char bytes[static 16], unsigned version,
                 char out[static 37]);

#endif
