#include "console_video.h"

#include "console_reply.h"

#include "core/json.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SCHEME "file://"

/** The URI that the event of a request names; "" if there is none. */
static void find_uri(struct console *console, const char *id, size_t number,
                     struct buf *uri)
{
    struct console_args args = {0};
    struct console_run run;
    bool no_memory = false;
    console_args_add(&args, "show");
    console_args_add(&args, "--json");
    console_args_add(&args, "--");
    console_args_add(&args, id);
    console_run(&run, &args, console->ctl->environment);
    json_t *row = run.status == EXIT_DONE
                      ? json_read(str_trim(buf_str(&run.out)), &no_memory)
                      : NULL;
    const json_t *videos =
        json_object_get(json_object_get(row, "event"), "videos");
    buf_add_text(uri, row_text(json_array_get(videos, number), "uri"));
    json_decref(row);
    console_run_done(&run);
    console_args_done(&args);
}

/** Opened where storage is, nowhere else, whatever the row says. */
static int open_stored(const char *storage, const char *uri)
{
    char root[PATH_MAX];
    char path[PATH_MAX];
    if (strncmp(uri, FILE_SCHEME, strlen(FILE_SCHEME)) != 0 ||
        strncmp(storage, FILE_SCHEME, strlen(FILE_SCHEME)) != 0 ||
        !realpath(storage + strlen(FILE_SCHEME), root) ||
        !realpath(uri + strlen(FILE_SCHEME), path)) {
        return -1;
    }
    const size_t len = strlen(root);
    if (strncmp(path, root, len) != 0 || path[len] != '/') {
        return -1;
    }
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

void video_answer(struct console *console, const struct page_ask *ask,
                  struct page_answer *answer)
{
    const char *id = page_query(ask, "id");
    const char *text = page_query(ask, "number");
    int64_t number = 0;
    struct stat about;
    struct buf uri;
    if (!id || !id[0] ||
        (text && !str_to_i64(str_of(text), 0, 1000, &number))) {
        console_refuse(answer, 400, "allowed: id=REQUEST-ID&number=0..1000");
        return;
    }
    buf_init(&uri, 0);
    find_uri(console, id, (size_t)number, &uri);
    buf_add_char(&uri, '\0');
    const int fd =
        uri.failed ? -1
                   : open_stored(console->ctl->settings.storage_url, uri.bytes);
    if (fd >= 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
        answer->file = fd;
        answer->file_bytes = (uint64_t)about.st_size;
        answer->content_type = "video/mp4";
    } else {
        if (fd >= 0) {
            close(fd);
        }
        console_refuse(answer, 404,
                       "no such video can be read from here: STORAGE_URL is "
                       "%s, the video is %s",
                       console->ctl->settings.storage_url,
                       uri.len > 1 ? uri.bytes : "not there");
    }
    buf_done(&uri);
}
