#ifndef CORE_AWS_H
#define CORE_AWS_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/** What AWS's tools keep in files, and what their servers hand out. */

/** Credentials, NUL-terminated. */
struct aws_keys {
    char id[129];
    char secret[257];
    char token[8193];   /* "": none */
    int64_t expires_ms; /* 0: never */
};

/**
 * A value of a profile in ~/.aws/credentials or ~/.aws/config.
 *
 * @param config  The file is the second one: sections are "[profile name]",
 *                but for "[default]".
 * @return        A slice of text; absent: there is none.
 */
struct str aws_file_value(struct str text, const char *profile, bool config,
                          const char *name);

/** The JSON of the container's and the instance's endpoints. */
bool aws_keys_read_json(struct str body, struct aws_keys *keys);

/** What a credential_process prints: the same under other names, and
 * "Version": 1. */
bool aws_keys_read_process(struct str body, struct aws_keys *keys);

/** The XML of STS. */
bool aws_keys_read_xml(struct str body, struct aws_keys *keys);

/** From single values; false: one is missing or too long. */
bool aws_keys_set(struct aws_keys *keys, struct str id, struct str secret,
                  struct str token);

/** The domain of a region's endpoints: amazonaws.com, or its partition's. */
const char *aws_domain(const char *region);

/** Where STS answers, and for which region it is signed. */
struct aws_sts {
    char url[128];
    char region[64];
};

/**
 * @param region  "": none is known.
 * @param legacy  AWS_STS_REGIONAL_ENDPOINTS=legacy: the old regions share the
 *                one of us-east-1.
 */
void aws_sts(const char *region, bool legacy, struct aws_sts *sts);

#endif
