#include "core/aws_chain.h"

#include "core/aws.h"

#include <assert.h>
#include <stddef.h>

/* A profile's name, with the NUL. */
#define NAME_BYTES 256

struct files {
    struct str keys;
    struct str config;
    char name[NAME_BYTES]; /* the profile that is looked at */
};

static struct str value(const struct files *files, const char *name)
{
    const struct str one =
        aws_file_value(files->keys, files->name, false, name);
    return one.at ? one
                  : aws_file_value(files->config, files->name, true, name);
}

static bool fail(struct aws_chain *chain, const char *fault)
{
    chain->fault = fault;
    return false;
}

static struct aws_role role_of(const struct files *files)
{
    return (struct aws_role){
        .arn = value(files, "role_arn"),
        .external_id = value(files, "external_id"),
        .session_name = value(files, "role_session_name"),
        .duration_s = value(files, "duration_seconds"),
    };
}

static bool take_keys(const struct files *files, struct aws_chain *chain)
{
    chain->id = value(files, "aws_access_key_id");
    chain->secret = value(files, "aws_secret_access_key");
    chain->token = value(files, "aws_session_token");
    if (!chain->id.at || !chain->secret.at) {
        return false;
    }
    chain->origin = AWS_KEYS;
    return true;
}

/** Where the chain ends, if it does at this profile. */
static void take_end(const struct files *files, struct aws_chain *chain)
{
    if (take_keys(files, chain)) {
        return;
    }
    chain->command = value(files, "credential_process");
    if (chain->command.at) {
        chain->origin = AWS_PROCESS;
    } else if (value(files, "sso_session").at ||
               value(files, "sso_start_url").at) {
        fail(chain, "wants single sign-on, which this program doesn't do");
    } else if (chain->roles_len > 0) {
        fail(chain, "has no keys for the role of another profile");
    }
}

/** One role more; true: it is assumed with the keys of the profile that stands
 * in files->name now. */
static bool take_role(struct files *files, struct aws_chain *chain)
{
    const struct str source = value(files, "source_profile");
    chain->path = value(files, "web_identity_token_file");
    chain->source = value(files, "credential_source");
    if (chain->path.at) {
        chain->origin = AWS_IDENTITY;
        chain->role = role_of(files);
        return false;
    }
    if (value(files, "mfa_serial").at) {
        return fail(chain, "wants the code of an MFA device, which nobody is "
                           "there to type");
    }
    if (!source.at == !chain->source.at) {
        return fail(chain, "has a role_arn and needs one of source_profile, "
                           "credential_source, web_identity_token_file");
    }
    if (chain->roles_len == AWS_ROLES_MAX || source.len >= NAME_BYTES) {
        return fail(chain, "leads over more than 5 roles, or in a circle");
    }
    chain->roles[chain->roles_len++] = role_of(files);
    if (chain->source.at) {
        chain->origin = AWS_ELSEWHERE;
        return false;
    }
    if (str_eq(source, str_of(files->name))) { /* its own keys, then */
        if (!take_keys(files, chain)) {
            fail(chain, "names itself as source_profile, and has no keys");
        }
        return false;
    }
    memcpy(files->name, source.at, source.len);
    files->name[source.len] = '\0';
    chain->profile = source;
    return true;
}

void aws_chain_read(struct str keys, struct str config, const char *profile,
                    struct aws_chain *chain)
{
    struct files files = {.keys = keys, .config = config};
    const size_t len = strlen(profile);
    *chain = (struct aws_chain){.profile = {profile, len}};
    if (len >= sizeof files.name) {
        return; /* no section is named so */
    }
    memcpy(files.name, profile, len + 1);
    while (value(&files, "role_arn").at) {
        if (!take_role(&files, chain)) {
            return;
        }
    }
    take_end(&files, chain);
}

/* ---- a command ---- */

bool aws_words_of(char *text, char *argv[static AWS_ARGUMENTS_MAX + 1])
{
    size_t n = 0;
    char *out = text;
    char *at = text;
    for (;;) {
        while (*at == ' ' || *at == '\t') {
            at++;
        }
        if (!*at) {
            break;
        }
        if (n == AWS_ARGUMENTS_MAX) {
            return false;
        }
        argv[n++] = out;
        char quote = 0;
        while (*at && (quote || (*at != ' ' && *at != '\t'))) {
            const bool escapes =
                *at == '\\' && at[1] &&
                (!quote || (quote == '"' && (at[1] == '"' || at[1] == '\\')));
            if (escapes) {
                *out++ = at[1];
                at += 2;
            } else if (*at == quote) {
                quote = 0;
                at++;
            } else if (!quote && (*at == '"' || *at == '\'')) {
                quote = *at++;
            } else {
                *out++ = *at++;
            }
        }
        if (quote) {
            return false;
        }
        at += *at ? 1 : 0;
        *out++ = '\0';
    }
    argv[n] = NULL;
    return n > 0;
}
