#ifndef EDGE_BUCKET_FS_JOURNAL_H
#define EDGE_BUCKET_FS_JOURNAL_H

#include <stdbool.h>

/**
 * Whether bytes that were written out before a name was given are on the disk
 * before that name is, and all that led to it with it. Any doubt is a no.
 */
bool fs_journal_orders(int folder_fd);

/** Writes a file's bytes out, into the disk's cache at least; false with
 * errno, and never tried again. */
bool fs_write_out(int fd);

#endif
