#include "edge/s3/aws_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)256 << 10)

const char *aws_env(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

bool aws_read_file(const char *path, struct buf *text)
{
    buf_init(text, FILE_BYTES_MAX);
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file) {
        return false;
    }
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, file)) > 0) {
        buf_add(text, piece, n);
    }
    bool good = !ferror(file) && !text->failed;
    fclose(file);
    explicit_bzero(piece, sizeof piece);
    return good;
}

void aws_wipe(struct buf *text)
{
    if (text->bytes) {
        explicit_bzero(text->bytes, text->size);
    }
    buf_done(text);
}

bool aws_read_shared(const char *name, const char *below, struct buf *text)
{
    char path[4096];
    const char *said = aws_env(name);
    const char *home = aws_env("HOME");
    if (!said && !home) {
        buf_init(text, 0);
        return false;
    }
    if (said) {
        snprintf(path, sizeof path, "%s", said);
    } else {
        snprintf(path, sizeof path, "%s/%s", home, below);
    }
    return aws_read_file(path, text);
}

const char *aws_profile(void)
{
    const char *name = aws_env("AWS_PROFILE");
    name = name ? name : aws_env("AWS_DEFAULT_PROFILE");
    return name ? name : "default";
}
