#ifndef CORE_S3_URL_H
#define CORE_S3_URL_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>

#define S3_NAME_BYTES_MAX 150

/** What STORAGE_URL says of a bucket: CONTRACT "Storage". */
struct s3_url {
    struct str bucket;
    struct str prefix;    /* without slashes at its ends; may be empty */
    struct str name;      /* what holds are scoped by */
    const char *region;   /* null: not said */
    const char *endpoint; /* https://host[:port][/path], null: AWS's own */
    bool path_style;
    bool path_style_said;
    bool checksum;   /* the store is given a SHA-256 to verify */
    const char *sse; /* x-amz-server-side-encryption; these: null if not said */
    const char *sse_kms_key_id;
    const char *acl; /* x-amz-acl, of every object */
    const char *storage_class;
    const char *tags;  /* as the header has them: a=b&c=d */
    const char *owner; /* the account that must own the bucket */
    const char *ca;    /* file of certificates */
};

/** Where a bucket answers. */
struct s3_place {
    struct str base; /* https://host[:port] */
    struct str host; /* the header of that name */
    /* "", "/bucket", "/path/bucket": before every path, encoded */
    struct str root;
};

/**
 * Read a URL that settings have judged; option values are percent-decoded.
 *
 * @return  false: no memory, or not s3://bucket.
 */
bool s3_url_read(struct str text, struct arena *arena, struct s3_url *url);

/** Where the URL names no endpoint: that of the environment or the profile,
 * judged as the URL's would be. False: no memory. */
bool s3_url_endpoint(struct s3_url *url, struct str endpoint,
                     struct arena *arena);

/**
 * In a path, where the URL says so, and where the bucket's name can't stand in
 * a host's: behind an IP address, behind a name of one part (minio,
 * localhost), or with a dot in it; and where the endpoint has a path of its
 * own, which stays before it.
 *
 * @param region  As found: the URL's or the environment's.
 */
bool s3_url_place(const struct s3_url *url, const char *region,
                  struct arena *arena, struct s3_place *place);

#endif
