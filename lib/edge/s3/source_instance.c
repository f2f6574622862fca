#include "edge/s3/credentials_own.h"

#include "edge/s3/aws_files.h"

#include <assert.h>
#include <stdio.h>

#define INSTANCE_HOST "http://169.254.169.254"
#define INSTANCE_ROLES "/latest/meta-data/iam/security-credentials/"

static const char *instance_host(void)
{
    const char *said = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    return said ? said : INSTANCE_HOST;
}

/** Of the instance's metadata on its roles; "": their list. */
static void ask_role(struct credentials *c, enum asking asking,
                     const char *role)
{
    assert(c->token[0] && asking > ASKING_TOKEN);
    char url[512];
    char header[300];
    snprintf(url, sizeof url, "%s" INSTANCE_ROLES "%s", instance_host(), role);
    snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %s", c->token);
    source_ask(c, asking, "GET", url, header);
}

static bool on_role(struct credentials *c, struct str body)
{
    assert(c->asking == ASKING_ROLE);
    char role[129];
    if (!source_word(body, role, sizeof role)) {
        return false;
    }
    ask_role(c, ASKING_KEYS, role);
    return true;
}

static bool on_token(struct credentials *c, struct str body)
{
    assert(c->asking == ASKING_TOKEN);
    if (!source_word(body, c->token, sizeof c->token)) {
        return false;
    }
    c->on_word = on_role;
    ask_role(c, ASKING_ROLE, "");
    return true;
}

bool source_instance(struct credentials *c, const struct source_files *files)
{
    (void)files;
    const char *off = aws_env("AWS_EC2_METADATA_DISABLED");
    char url[512];
    if (off && str_eq_nocase(str_of(off), STR("true"))) {
        return false;
    }
    snprintf(url, sizeof url, "%s/latest/api/token", instance_host());
    c->on_word = on_token;
    source_ask(c, ASKING_TOKEN, "PUT", url,
               "X-aws-ec2-metadata-token-ttl-seconds: 21600");
    return true;
}
