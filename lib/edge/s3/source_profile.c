#include "edge/s3/credentials_own.h"

#include <stdio.h>

#define REREAD_MS 300000 /* files, which others change */

/** What a process printed. It says itself when it is to be asked again. */
static void take_process(struct credentials *c,
                         const struct source_files *files)
{
    struct aws_keys keys = {0};
    const struct aws_process *process = &files->process;
    char what[300];
    snprintf(what, sizeof what, "credential_process of the profile %.*s",
             (int)files->chain.profile.len, files->chain.profile.at);
    if (!process->ran) {
        source_failed(c, what, "it was not run");
    } else if (process->why[0]) {
        source_failed(c, what, process->why);
    } else if (!aws_keys_read_process(buf_str(&process->out), &keys)) {
        explicit_bzero(&keys, sizeof keys);
        source_failed(c, what, "it prints no keys as JSON with \"Version\": 1");
    } else if (keys.expires_ms) {
        source_fetched(c, what, &keys, "");
    } else {
        source_found(c, &keys, 0);
    }
}

static void take_keys(struct credentials *c, const struct source_files *files)
{
    const struct aws_chain *chain = &files->chain;
    struct aws_keys keys;
    if (aws_keys_set(&keys, chain->id, chain->secret, chain->token)) {
        source_found(c, &keys, REREAD_MS);
    } else {
        source_failed(c, "the profile's keys can't be read", files->profile);
    }
}

/** credential_source: the other sources, by AWS's words for them. */
static void take_elsewhere(struct credentials *c,
                           const struct source_files *files)
{
    const struct str word = files->chain.source;
    bool taken = false;
    if (str_eq(word, STR("Environment"))) {
        taken = source_environment(c);
    } else if (str_eq(word, STR("EcsContainer"))) {
        taken = source_container(c, files);
    } else if (str_eq(word, STR("Ec2InstanceMetadata"))) {
        taken = source_instance(c, files);
    }
    if (!taken) {
        char what[200];
        snprintf(what, sizeof what,
                 "credential_source %.*s has none here, or is none of "
                 "Environment, EcsContainer, Ec2InstanceMetadata",
                 word.len > 40 ? 40 : (int)word.len, word.at);
        source_failed(c, what, "");
    }
}

static bool take_profile(struct credentials *c,
                         const struct source_files *files)
{
    const struct aws_chain *chain = &files->chain;
    if (chain->fault) {
        char what[300];
        snprintf(what, sizeof what, "the profile %.*s %s",
                 chain->profile.len > 80 ? 80 : (int)chain->profile.len,
                 chain->profile.at, chain->fault);
        source_failed(c, what, "");
        return true;
    }
    if (chain->origin == AWS_NOTHING) {
        return false;
    }
    if (!source_plan_roles(c, files)) {
        return true;
    }
    switch (chain->origin) {
    case AWS_NOTHING:
        break;
    case AWS_KEYS:
        take_keys(c, files);
        break;
    case AWS_IDENTITY:
        source_assume(c, files, &chain->role);
        break;
    case AWS_PROCESS:
        take_process(c, files);
        break;
    case AWS_ELSEWHERE:
        take_elsewhere(c, files);
        break;
    }
    return true;
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
