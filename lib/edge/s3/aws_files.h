#ifndef EDGE_S3_AWS_FILES_H
#define EDGE_S3_AWS_FILES_H

#include "base/buf.h"

/**
 * Where AWS's tools look for settings and keys on this machine. For
 * credentials.c only. What is read may be secret: aws_wipe() ends it.
 */

/** Null where it is unset or empty. */
const char *aws_env(const char *name);

/** A whole file; false: it can't be read. The caller wipes *text either way. */
bool aws_read_file(const char *path, struct buf *text);

/** Overwrites, then frees. */
void aws_wipe(struct buf *text);

/** A shared file: named by the environment, else below the home folder; as
 * aws_read_file(). */
bool aws_read_shared(const char *name, const char *below, struct buf *text);

/** The profile's name. */
const char *aws_profile(void);

#endif
