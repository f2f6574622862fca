#include "edge/s3/credentials_own.h"

#define REREAD_MS 300000 /* files, which others change */

static bool take_profile(struct credentials *c,
                         const struct source_files *files)
{
    struct str id = source_files_value(files, "aws_access_key_id");
    struct str secret = source_files_value(files, "aws_secret_access_key");
    struct str role = source_files_value(files, "role_arn");
    struct str path = source_files_value(files, "web_identity_token_file");
    struct aws_keys keys;
    if (role.at && path.at) {
        source_assume(c, files, role);
        return true;
    }
    if (id.at && secret.at) {
        if (aws_keys_set(&keys, id, secret,
                         source_files_value(files, "aws_session_token"))) {
            source_found(c, &keys, REREAD_MS);
        } else {
            source_failed(c, "the profile's keys can't be read",
                          files->profile);
        }
        return true;
    }
    if (role.at || source_files_value(files, "credential_process").at ||
        source_files_value(files, "sso_session").at ||
        source_files_value(files, "sso_start_url").at) {
        source_failed(
            c,
            "the profile wants another profile's role, a process or single "
            "sign-on, which this program doesn't do",
            files->profile);
        return true;
    }
    return false;
}

/** One that is not there is none of ours; one that is there and can't be read
 * may hold the very keys: another source's would be somebody else's. */
static bool is_unreadable(struct credentials *c,
                          const struct source_files *files,
                          enum source_file which, const char *name)
{
    if (!aws_trouble(files->trouble[which], name)) {
        return false;
    }
    source_unreadable(c, "a shared file can't be read", files, which);
    return true;
}

bool source_profile(struct credentials *c, const struct source_files *files)
{
    if (is_unreadable(c, files, FILE_KEYS, "AWS_SHARED_CREDENTIALS_FILE") ||
        is_unreadable(c, files, FILE_CONFIG, "AWS_CONFIG_FILE")) {
        return true;
    }
    if (take_profile(c, files)) {
        return true;
    }
    if (aws_env("AWS_PROFILE")) {
        source_failed(c, "no keys in the shared files for the profile",
                      files->profile);
        return true;
    }
    return false;
}
