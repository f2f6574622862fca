#include "edge/s3/aws_files.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)256 << 10) /* aws_words() says it */

const char *aws_env(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

int aws_read_file(const char *path, struct buf *text)
{
    buf_init(text, FILE_BYTES_MAX);
    FILE *file = fopen(path, "re");
    if (!file) {
        return errno ? errno : EIO;
    }
    char piece[4096];
    size_t n;
    size_t bytes = 0;
    while (!text->failed && (n = fread(piece, 1, sizeof piece, file)) > 0) {
        buf_add(text, piece, n);
        bytes += n;
    }
    const int refused = bytes > FILE_BYTES_MAX ? EFBIG : ENOMEM;
    const int trouble = ferror(file) ? EIO : text->failed ? refused : 0;
    fclose(file);
    explicit_bzero(piece, sizeof piece);
    return trouble;
}

int aws_trouble(int trouble, const char *name)
{
    const bool absent = trouble == ENOENT || trouble == ENOTDIR ||
                        (trouble == EACCES && !aws_env(name));
    return absent ? 0 : trouble;
}

const char *aws_words(int trouble)
{
    assert(trouble > 0);
    return trouble == EFBIG ? "it is larger than 256 KiB, the most that is read"
                            : strerror(trouble);
}

void aws_wipe(struct buf *text)
{
    if (text->bytes) {
        explicit_bzero(text->bytes, text->size);
    }
    buf_done(text);
}

void aws_shared_path(const char *name, const char *below,
                     char out[static AWS_PATH_BYTES])
{
    const char *said = aws_env(name);
    const char *home = aws_env("HOME");
    out[0] = '\0';
    if (said) {
        snprintf(out, AWS_PATH_BYTES, "%s", said);
    } else if (home) {
        snprintf(out, AWS_PATH_BYTES, "%s/%s", home, below);
    }
}

const char *aws_profile(void)
{
    const char *name = aws_env("AWS_PROFILE");
    name = name ? name : aws_env("AWS_DEFAULT_PROFILE");
    return name ? name : "default";
}
