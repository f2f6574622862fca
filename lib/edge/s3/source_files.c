#include "edge/s3/credentials_own.h"

#include "base/buf.h"
#include "edge/s3/aws_files.h"

#include <stdio.h>

#define REREAD_MS 300000 /* files, which others change */

/** Of the credentials file, else of the config file. */
static struct str shared_value(const struct buf texts[2], const char *name)
{
    struct str value =
        aws_file_value(buf_str(&texts[0]), aws_profile(), false, name);
    return value.at
               ? value
               : aws_file_value(buf_str(&texts[1]), aws_profile(), true, name);
}

static bool take_profile(struct credentials *c, const struct buf texts[2])
{
    struct str id = shared_value(texts, "aws_access_key_id");
    struct str secret = shared_value(texts, "aws_secret_access_key");
    struct str role = shared_value(texts, "role_arn");
    struct str path = shared_value(texts, "web_identity_token_file");
    struct aws_keys keys;
    if (role.at && path.at) {
        char role_text[512];
        char path_text[4096];
        snprintf(role_text, sizeof role_text, "%.*s", (int)role.len, role.at);
        snprintf(path_text, sizeof path_text, "%.*s", (int)path.len, path.at);
        source_assume(c, role_text, path_text);
        return true;
    }
    if (id.at && secret.at) {
        if (aws_keys_set(&keys, id, secret,
                         shared_value(texts, "aws_session_token"))) {
            source_found(c, &keys, REREAD_MS);
        } else {
            source_failed(c, "the profile's keys can't be read", aws_profile());
        }
        return true;
    }
    if (role.at || shared_value(texts, "credential_process").at ||
        shared_value(texts, "sso_session").at ||
        shared_value(texts, "sso_start_url").at) {
        source_failed(
            c,
            "the profile wants another profile's role, a process or single "
            "sign-on, which this program doesn't do",
            aws_profile());
        return true;
    }
    return false;
}

bool source_files(struct credentials *c)
{
    struct buf texts[2];
    bool keys = aws_read_shared("AWS_SHARED_CREDENTIALS_FILE",
                                ".aws/credentials", &texts[0]);
    bool config = aws_read_shared("AWS_CONFIG_FILE", ".aws/config", &texts[1]);
    bool taken = (keys || config) && take_profile(c, texts);
    aws_wipe(&texts[0]);
    aws_wipe(&texts[1]);
    if (!taken && aws_env("AWS_PROFILE")) {
        source_failed(c, "no keys in the shared files for the profile",
                      aws_profile());
        return true;
    }
    return taken;
}
