#include "console_video.h"

#include "console_reply.h"

#include "core/json.h"
#include "stored.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SCHEME "file://"

/** What `link` says of it: where it is played from; false: why not, in
 * *answer. */
static bool find_link(struct console *console, const char *id, int64_t number,
                      struct buf *url, struct page_answer *answer)
{
    struct console_args args = {0};
    struct console_run run;
    bool no_memory = false;
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    console_args_add(&args, "link");
    console_args_add(&args, "--json");
    console_args_add(&args, "--number");
    console_args_add(&args, text);
    console_args_add(&args, "--");
    console_args_add(&args, id);
    console_run(&run, &args, console->ctl->environment);
    json_t *row = run.status == EXIT_DONE
                      ? json_read(str_trim(buf_str(&run.out)), &no_memory)
                      : NULL;
    buf_add_text(url, row_text(row, "url"));
    buf_add_char(url, '\0');
    const bool found = row && url->len > 1 && !url->failed;
    if (!found) {
        const struct str why = str_trim(buf_str(&run.err));
        console_refuse(answer, 404, "%.*s",
                       (int)(why.len < 1000 ? why.len : 1000),
                       why.len ? why.at : "");
    }
    json_decref(row);
    console_run_done(&run);
    console_args_done(&args);
    return found;
}

/** Where that leads without links and dots; false: nowhere. */
static bool find_path(const char *uri, char out[PATH_MAX])
{
    char *path = stored_path(uri);
    const bool there = path && realpath(path, out);
    free(path);
    return there;
}

/** Opened where storage is, nowhere else, whatever the row says. */
static int open_stored(const char *storage, const char *uri)
{
    char root[PATH_MAX];
    char path[PATH_MAX];
    if (!find_path(storage, root) || !find_path(uri, path)) {
        return -1;
    }
    const size_t len = strlen(root);
    if (strncmp(path, root, len) != 0 || path[len] != '/') {
        return -1;
    }
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static void answer_file(struct console *console, const char *url,
                        struct page_answer *answer)
{
    struct stat about;
    const int fd = open_stored(console->ctl->settings.storage_url, url);
    if (fd >= 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
        answer->file = fd;
        answer->file_bytes = (uint64_t)about.st_size;
        answer->content_type = "video/mp4";
        return;
    }
    if (fd >= 0) {
        close(fd);
    }
    console_refuse(answer, 404,
                   "no such video can be read from here: STORAGE_URL is %s, "
                   "the video is %s",
                   console->ctl->settings.storage_url, url);
}

void video_answer(struct console *console, const struct page_ask *ask,
                  struct page_answer *answer)
{
    const char *id = page_query(ask, "id");
    const char *text = page_query(ask, "number");
    int64_t number = 0;
    struct buf url;
    if (!id || !id[0] ||
        (text && !str_to_i64(str_of(text), 0, 1000, &number))) {
        console_refuse(answer, 400, "allowed: id=REQUEST-ID&number=0..1000");
        return;
    }
    buf_init(&url, 0);
    if (!find_link(console, id, number, &url, answer)) {
        buf_done(&url);
        return;
    }
    if (strncmp(url.bytes, FILE_SCHEME, strlen(FILE_SCHEME)) == 0) {
        answer_file(console, url.bytes, answer);
    } else { /* the store itself plays it, for whoever has that URL */
        answer->location = strdup(url.bytes);
        answer->status = answer->location ? 307 : 503;
    }
    buf_done(&url);
}

void video_site(const struct console *console, char *out, size_t out_bytes)
{
    const struct settings *settings = &console->ctl->settings;
    struct err err = {0};
    struct proxy proxy;
    struct loop *loop = loop_open(&err);
    struct bucket *bucket =
        loop ? stored_open(loop, settings, &proxy, &err) : NULL;
    snprintf(out, out_bytes, "%s", bucket ? bucket_site(bucket) : "");
    if (bucket) {
        bucket_close(bucket);
    } else {
        fprintf(stderr, "pixverse-ctl console: no video can be played: %s\n",
                err.text);
    }
    if (loop) {
        loop_close(loop);
    }
}
