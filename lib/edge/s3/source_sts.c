#include "edge/s3/credentials_own.h"

#include "base/buf.h"
#include "edge/s3/aws_files.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/** Of the environment, of the start, or of the profile as it is now. */
static void region_of(const struct credentials *c,
                      const struct source_files *files, char out[static 64])
{
    const char *said = aws_env("AWS_REGION");
    said = said ? said : aws_env("AWS_DEFAULT_REGION");
    said = said ? said : c->region;
    struct str value = said[0]
                           ? str_of(said)
                           : aws_file_value(buf_str(&files->text[FILE_CONFIG]),
                                            files->profile, true, "region");
    snprintf(out, 64, "%.*s", (int)value.len, value.at ? value.at : "");
}

void source_assume(struct credentials *c, const struct source_files *files,
                   struct str role)
{
    assert(!c->call);
    char url[300];
    char region[64];
    if (!source_file_is_there(files, FILE_IDENTITY)) {
        source_unreadable(c, "the web identity's token can't be read", files,
                          FILE_IDENTITY);
        return;
    }
    const char *name = aws_env("AWS_ROLE_SESSION_NAME");
    buf_init(&c->body, 0);
    buf_add_text(&c->body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
                           "&RoleSessionName=");
    sigv4_encode(&c->body, str_of(name ? name : "pixverse-worker"), false);
    buf_add_text(&c->body, "&RoleArn=");
    sigv4_encode(&c->body, role, false);
    buf_add_text(&c->body, "&WebIdentityToken=");
    sigv4_encode(&c->body, str_trim(buf_str(&files->text[FILE_IDENTITY])),
                 false);
    const char *said = aws_env("AWS_ENDPOINT_URL_STS");
    region_of(c, files, region);
    if (!said && !region[0] &&
        aws_trouble(files->trouble[FILE_CONFIG], "AWS_CONFIG_FILE")) {
        aws_wipe(&c->body); /* another region's would refuse */
        source_unreadable(c, "a shared file can't be read", files, FILE_CONFIG);
        return;
    }
    if (said) {
        snprintf(url, sizeof url, "%s", said);
    } else {
        snprintf(url, sizeof url, "https://sts.%s%samazonaws.com%s/", region,
                 region[0] ? "." : "",
                 strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    }
    source_ask(c, ASKING_STS, "POST", url, NULL);
}

bool source_web_identity(struct credentials *c,
                         const struct source_files *files)
{
    const char *role = aws_env("AWS_ROLE_ARN");
    if (!role || !aws_env("AWS_WEB_IDENTITY_TOKEN_FILE")) {
        return false;
    }
    source_assume(c, files, str_of(role));
    return true;
}
