#include "edge/s3/credentials_own.h"

#include "base/buf.h"
#include "edge/s3/aws_files.h"

#include <stdio.h>
#include <string.h>

#define CONTAINER_HOST "http://169.254.170.2"

/** Plain HTTP shows the token to whoever listens: to this machine only. */
static bool is_near(const char *url)
{
    static const char *const hosts[] = {
        "https://",         "http://127.",
        "http://localhost", "http://169.254.170.",
        "http://[::1]",     "http://[fd00:ec2::23]",
    };
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        if (strncmp(url, hosts[i], strlen(hosts[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool source_container(struct credentials *c, const struct source_files *files)
{
    const char *relative = aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *token = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    const char *path = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    if (!relative && !full) {
        return false;
    }
    if (!relative && !is_near(full)) {
        source_failed(
            c, "AWS_CONTAINER_CREDENTIALS_FULL_URI is not of this machine", "");
        return true;
    }
    char url[1024];
    char word[8192];
    char header[8400];
    snprintf(url, sizeof url, "%s%s", relative ? CONTAINER_HOST : "",
             relative ? relative : full);
    if (path && files->trouble[FILE_CONTAINER]) {
        source_unreadable(c, "the container's token can't be read", files,
                          FILE_CONTAINER);
        return true;
    }
    struct str said =
        path ? buf_str(&files->text[FILE_CONTAINER]) : str_of(token);
    word[0] = '\0';
    if (!said.len || source_word(said, word, sizeof word)) {
        snprintf(header, sizeof header, "Authorization: %s", word);
        source_ask(c, ASKING_CONTAINER, "GET", url, word[0] ? header : NULL);
    } else {
        source_failed(c, "the container's token is not one line of text", "");
    }
    explicit_bzero(word, sizeof word);
    explicit_bzero(header, sizeof header);
    return true;
}
