#include "core/base64url.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "abcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_add(struct buf *out, struct str bytes)
{
    unsigned int bits = 0; /* not yet written, the oldest highest */
    int len = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = (bits << 8 | (unsigned char)bytes.at[i]) & 0xffff;
        len += 8;
        while (len >= 6) {
            len -= 6;
            buf_add_char(out, digits[bits >> len & 0x3f]);
        }
    }
    if (len > 0) {
        buf_add_char(out, digits[bits << (6 - len) & 0x3f]);
    }
}

bool base64url_read(struct buf *out, struct str text)
{
    unsigned int bits = 0;
    int len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = text.at[i] ? strchr(digits, text.at[i]) : NULL;
        if (!digit) {
            return false;
        }
        bits = (bits << 6 | (unsigned int)(digit - digits)) & 0xffff;
        len += 6;
        if (len >= 8) {
            len -= 8;
            buf_add_char(out, (char)(bits >> len & 0xff));
        }
    }
    return len < 6; /* six bits alone are no byte */
}
