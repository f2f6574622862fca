#ifndef EDGE_S3_FIFO_H
#define EDGE_S3_FIFO_H

#include <stdbool.h>
#include <stddef.h>

#define S3_FIFO_BYTES ((size_t)128 << 10) /* its least size */

/** Bytes that were written and not sent yet. */
struct s3_fifo {
    char *bytes;
    size_t at;  /* the first one */
    size_t len; /* how many */
    size_t size;
};

bool s3_fifo_add(struct s3_fifo *fifo, const char *bytes, size_t len);
void s3_fifo_take(struct s3_fifo *fifo, char *out, size_t len);

#endif
