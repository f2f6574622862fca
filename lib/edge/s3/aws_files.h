#ifndef EDGE_S3_AWS_FILES_H
#define EDGE_S3_AWS_FILES_H

#include "base/buf.h"

/**
 * Where AWS's tools look for settings and keys on this machine. For
 * credentials.c only. What is read may be secret: aws_wipe() ends it.
 */

/** Null where it is unset or empty. */
const char *aws_env(const char *name);

#define AWS_PATH_BYTES 4096

/** A whole file of at most 256 KiB; 0, or the errno why not (EFBIG). The caller
 * wipes *text either way. */
int aws_read_file(const char *path, struct buf *text);

/**
 * What hinders a shared file: trouble as aws_read_file() says, 0 for a file
 * that is not there, or that nobody named and that is others'.
 *
 * @param name  The variable that may name it.
 */
int aws_trouble(int trouble, const char *name);

/** In words, for people; the next call may overwrite them. */
const char *aws_words(int trouble);

/** Overwrites, then frees. */
void aws_wipe(struct buf *text);

/** A shared file's path: named by the environment, else below the home folder;
 * "": neither is set. */
void aws_shared_path(const char *name, const char *below,
                     char out[static AWS_PATH_BYTES]);

/** The profile's name. */
const char *aws_profile(void);

#endif
