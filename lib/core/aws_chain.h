#ifndef CORE_AWS_CHAIN_H
#define CORE_AWS_CHAIN_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * What a profile of AWS's shared files wants: keys from somewhere, and with
 * them perhaps a role, and with that one's keys another.
 */

#define AWS_ROLES_MAX 5
#define AWS_ARGUMENTS_MAX 64

/** Slices into the files' texts, as all below. */
struct aws_role {
    struct str arn;
    struct str external_id; /* absent: none, as the next */
    struct str session_name;
    struct str duration_s;
};

enum aws_origin {
    AWS_NOTHING, /* the profile names no keys */
    AWS_KEYS,
    AWS_IDENTITY, /* `role` by a web identity, whose token is in a file */
    AWS_PROCESS,
    AWS_ELSEWHERE, /* credential_source */
};

struct aws_chain {
    struct aws_role roles[AWS_ROLES_MAX]; /* the last one is assumed first */
    int roles_len;
    enum aws_origin origin;
    struct str id, secret, token; /* KEYS; no token: absent */
    struct aws_role role;         /* IDENTITY */
    struct str path;              /* IDENTITY: of its token */
    struct str command;           /* PROCESS */
    struct str source;            /* ELSEWHERE: a word of AWS's */
    const char *fault;            /* what can't be done, a phrase; null: none */
    struct str profile;           /* the last one that was looked at */
};

/**
 * @param keys     Text of ~/.aws/credentials, `config` that of ~/.aws/config.
 * @param profile  Lives as long as the chain.
 */
void aws_chain_read(struct str keys, struct str config, const char *profile,
                    struct aws_chain *chain);

/**
 * A command line in words, as a shell has them, quotes and backslashes heeded;
 * nothing is expanded.
 *
 * @param text  Written over: the words stand in it.
 * @param argv  Ends with a null.
 * @return      false: a quote isn't closed, no word, or too many.
 */
bool aws_words_of(char *text, char *argv[static AWS_ARGUMENTS_MAX + 1]);

#endif
