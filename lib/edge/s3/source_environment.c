#include "edge/s3/credentials_own.h"

#include "edge/s3/aws_files.h"

bool source_environment(struct credentials *c)
{
    const char *id = aws_env("AWS_ACCESS_KEY_ID");
    const char *secret = aws_env("AWS_SECRET_ACCESS_KEY");
    if (!id || !secret) {
        return false;
    }
    struct aws_keys keys;
    if (aws_keys_set(&keys, str_of(id), str_of(secret),
                     str_of(aws_env("AWS_SESSION_TOKEN")))) {
        source_found(c, &keys, 0);
    } else {
        source_failed(c, "AWS_ACCESS_KEY_ID and its companions can't be read",
                      "");
    }
    return true;
}
