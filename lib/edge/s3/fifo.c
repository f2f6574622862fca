#include "edge/s3/fifo.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool s3_fifo_add(struct s3_fifo *fifo, const char *bytes, size_t len)
{
    assert(fifo->at + fifo->len <= fifo->size);
    if (fifo->at + fifo->len + len > fifo->size && fifo->at > 0) {
        memmove(fifo->bytes, fifo->bytes + fifo->at, fifo->len);
        fifo->at = 0;
    }
    if (fifo->len + len > fifo->size) {
        size_t size = fifo->len + len;
        size = size < S3_FIFO_BYTES ? S3_FIFO_BYTES : size;
        char *grown = realloc(fifo->bytes, size);
        if (!grown) {
            return false;
        }
        fifo->bytes = grown;
        fifo->size = size;
    }
    memcpy(fifo->bytes + fifo->at + fifo->len, bytes, len);
    fifo->len += len;
    return true;
}

void s3_fifo_take(struct s3_fifo *fifo, char *out, size_t len)
{
    assert(fifo->at + fifo->len <= fifo->size);
    assert(len <= fifo->len);
    if (len > 0) {
        memcpy(out, fifo->bytes + fifo->at, len);
    }
    fifo->at += len;
    fifo->len -= len;
    fifo->at = fifo->len ? fifo->at : 0;
}
