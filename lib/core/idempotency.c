#include "core/idempotency.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static void add_part(struct digest *digest, struct str part)
{
    const unsigned char len[4] = {
        (unsigned char)(part.len >> 24),
        (unsigned char)(part.len >> 16),
        (unsigned char)(part.len >> 8),
        (unsigned char)part.len,
    };
    assert(part.len <= UINT32_MAX);
    digest_add(digest, len, sizeof len);
    if (part.len) {
        digest_add(digest, part.at, part.len);
    }
}

static void add_number(struct digest *digest, int32_t number)
{
    char digits[12];
    int len = snprintf(digits, sizeof digits, "%" PRId32, number);
    assert(len > 0 && (size_t)len < sizeof digits);
    add_part(digest, (struct str){digits, (size_t)len});
}

bool idempotency_key(const struct send_identity *send,
                     char out[static IDEMPOTENCY_KEY_BYTES])
{
    assert(send->salt.len == SALT_BYTES);
    assert(send->request_id.len > 0);
    unsigned char sum[DIGEST_BYTES];
    struct digest *digest = digest_new();
    if (!digest) {
        return false;
    }
    add_part(digest, send->salt);
    add_part(digest, send->request_id);
    add_part(digest, send->content);
    add_number(digest, send->submission);
    add_number(digest, send->attempt);
    digest_end(digest, sum);
    digest_free(digest);
    str_hex(sum, sizeof sum, out);
    return true;
}
