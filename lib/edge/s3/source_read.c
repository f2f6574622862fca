#include "edge/s3/credentials_own.h"

#include "edge/s3/aws_files.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A file may be on a disk of the network that is away, or a pipe: all that any
 * source may want is read on another thread, and what environment and paths say
 * is taken along, since that thread asks for neither.
 */

static void copy_path(char out[static AWS_PATH_BYTES], const char *path)
{
    snprintf(out, AWS_PATH_BYTES, "%s", path ? path : "");
}

static void read_one(struct source_files *files, enum source_file which)
{
    if (files->path[which][0]) {
        files->trouble[which] =
            aws_read_file(files->path[which], &files->text[which]);
    }
}

static void read_work(void *context)
{
    struct source_files *files = context;
    char *token = files->path[FILE_IDENTITY];
    assert(files->then);
    read_one(files, FILE_KEYS);
    read_one(files, FILE_CONFIG);
    struct aws_chain *chain = &files->chain;
    aws_chain_read(buf_str(&files->text[FILE_KEYS]),
                   buf_str(&files->text[FILE_CONFIG]), files->profile, chain);
    const bool profile = !token[0] && !chain->fault;
    if (profile && chain->origin == AWS_IDENTITY) {
        snprintf(token, AWS_PATH_BYTES, "%.*s", (int)chain->path.len,
                 chain->path.at);
    }
    read_one(files, FILE_IDENTITY);
    read_one(files, FILE_CONTAINER);
    if (profile && chain->origin == AWS_PROCESS) {
        aws_process_run(&files->process, chain->command);
    }
}

static void files_free(struct source_files *files)
{
    for (int i = 0; i < SOURCE_FILES_LEN; i++) {
        aws_wipe(&files->text[i]);
    }
    aws_wipe(&files->process.out);
    free(files);
}

static void on_read(void *context)
{
    struct source_files *files = context;
    struct credentials *c = files->credentials;
    assert(!files->credentials || files->credentials->files == files);
    if (c) {
        c->files = NULL;
        files->then(c, files);
    }
    files_free(files);
}

void source_read(struct credentials *c,
                 void (*then)(struct credentials *,
                              const struct source_files *))
{
    assert(!c->files);
    struct source_files *files = calloc(1, sizeof *files);
    if (!files) {
        source_failed(c, "no memory", "");
        return;
    }
    files->credentials = c;
    files->then = then;
    for (int i = 0; i < SOURCE_FILES_LEN; i++) {
        buf_init(&files->text[i], 0);
    }
    aws_process_init(&files->process);
    snprintf(files->profile, sizeof files->profile, "%s", aws_profile());
    aws_shared_path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials",
                    files->path[FILE_KEYS]);
    aws_shared_path("AWS_CONFIG_FILE", ".aws/config", files->path[FILE_CONFIG]);
    copy_path(files->path[FILE_IDENTITY],
              aws_env("AWS_ROLE_ARN") ? aws_env("AWS_WEB_IDENTITY_TOKEN_FILE")
                                      : NULL);
    copy_path(files->path[FILE_CONTAINER],
              aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
    c->files = files;
    loop_work(c->loop, read_work, on_read, files);
}

void source_read_drop(struct credentials *c)
{
    if (c->files) {
        c->files->credentials = NULL; /* freed when its thread is back */
        c->files->process.stop = true;
        c->files = NULL;
    }
}

struct str source_files_value(const struct source_files *files,
                              const char *name)
{
    struct str value = aws_file_value(buf_str(&files->text[FILE_KEYS]),
                                      files->profile, false, name);
    return value.at ? value
                    : aws_file_value(buf_str(&files->text[FILE_CONFIG]),
                                     files->profile, true, name);
}

void source_unreadable(struct credentials *c, const char *what,
                       const struct source_files *files, enum source_file which)
{
    char why[AWS_PATH_BYTES + 100];
    assert(files->trouble[which] != 0);
    snprintf(why, sizeof why, "%s (%s)", aws_words(files->trouble[which]),
             files->path[which]);
    source_failed(c, what, why);
}

bool source_file_is_there(const struct source_files *files,
                          enum source_file which)
{
    assert(which < SOURCE_FILES_LEN);
    return files->path[which][0] && files->trouble[which] == 0;
}
