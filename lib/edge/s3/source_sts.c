#include "edge/s3/credentials_own.h"

#include "base/buf.h"
#include "edge/s3/aws_files.h"

#include <stdio.h>
#include <string.h>

void source_assume(struct credentials *c, const char *role, const char *path)
{
    struct buf token;
    char url[300];
    if (!aws_read_file(path, &token)) {
        aws_wipe(&token);
        source_failed(c, "the web identity's token can't be read", "");
        return;
    }
    const char *name = aws_env("AWS_ROLE_SESSION_NAME");
    buf_init(&c->body, 0);
    buf_add_text(&c->body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
                           "&RoleSessionName=");
    sigv4_encode(&c->body, str_of(name ? name : "pixverse-worker"), false);
    buf_add_text(&c->body, "&RoleArn=");
    sigv4_encode(&c->body, str_of(role), false);
    buf_add_text(&c->body, "&WebIdentityToken=");
    sigv4_encode(&c->body, str_trim(buf_str(&token)), false);
    aws_wipe(&token);
    const char *said = aws_env("AWS_ENDPOINT_URL_STS");
    const char *region = credentials_region(c);
    if (said) {
        snprintf(url, sizeof url, "%s", said);
    } else {
        snprintf(url, sizeof url, "https://sts.%s%samazonaws.com%s/",
                 region ? region : "", region ? "." : "",
                 region && strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    }
    source_ask(c, ASKING_STS, "POST", url, NULL);
}

bool source_web_identity(struct credentials *c)
{
    const char *path = aws_env("AWS_WEB_IDENTITY_TOKEN_FILE");
    const char *role = aws_env("AWS_ROLE_ARN");
    if (!path || !role) {
        return false;
    }
    source_assume(c, role, path);
    return true;
}
