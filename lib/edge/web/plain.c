#include "edge/web/plain.h"

#include "edge/web/decode.h"

#include <stdio.h>

void plain_body(struct str coding, struct buf *plain, struct reply *reply)
{
    if (reply->body.len == 0) {
        return;
    }
    const enum decoded decoded = decode_text(reply->body, coding, plain);
    if (decoded == DECODED_PLAIN) {
        return;
    }
    if (decoded == DECODED) {
        reply->body = buf_str(plain);
        return;
    }
    if (plain->len && !plain->failed) {
        reply->body = buf_str(plain); /* the start may hold a task id */
    }
    if (reply->end != REPLY_WHOLE) {
        return;
    }
    if (decoded == DECODED_TOO_LARGE) {
        snprintf(reply->why, sizeof reply->why,
                 "unpacked, the reply is over %d bytes", PLAIN_BYTES_MAX);
    } else {
        snprintf(reply->why, sizeof reply->why,
                 "the reply came in the content coding \"%.*s\", which can't "
                 "be read; nobody asked for one",
                 (int)(coding.len < 60 ? coding.len : 60),
                 coding.at ? coding.at : "");
    }
    if (reply->status / 100 == 2) {
        reply->end =
            decoded == DECODED_TOO_LARGE ? REPLY_TOO_LARGE : REPLY_BROKEN;
    }
}
