#include "ctl.h"

#include "pruned.h"
#include "row.h"
#include "stored.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRES_S 3600
#define EXPIRES_S_MAX 604800 /* what S3 takes: a week */

/* clang-format off */
static const struct option options[] = {
    {"--number", "N", "which of its videos, from 0; default 0", false},
    {"--expires", "SECONDS", "S3: how long the URL is good, 1..604800; default 3600", false},
    {"--json", NULL, "one JSON object", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/** One video to be linked to. */
struct link {
    struct ctl *ctl;
    struct loop *loop;
    struct bucket *bucket;
    char *key;
    int expires_s;
    struct buf url;
    struct err err; /* why there is none */
};

static void on_looked(void *context, const struct bucket_result *result)
{
    struct link *link = context;
    if (result->end == BUCKET_MISSING) {
        err_set(&link->err, ERR_PERMANENT, "it is not in storage any more");
    } else if (result->end != BUCKET_DONE) {
        err_set(&link->err, ERR_TRANSIENT, "storage says: %s", result->why);
    } else if (!bucket_link(link->bucket, str_of(link->key), link->expires_s,
                            &link->url, &link->err)) {
        link->url.len = 0;
    }
    loop_stop(link->loop);
}

/** Only what STORAGE_URL holds, whatever a row says. */
static void ask_bucket(struct link *link, const char *uri)
{
    char base[STORED_URI_BYTES];
    stored_base(link->bucket, base, sizeof base);
    link->key = stored_key(base, uri);
    if (!link->key) {
        err_set(&link->err, ERR_PERMANENT,
                "it is stored at %s, which STORAGE_URL (%s) does not hold", uri,
                bucket_name(link->bucket));
    } else if (!bucket_site(link->bucket)[0]) {
        buf_add_text(&link->url, uri); /* a file is its own link */
    } else {
        bucket_look(link->bucket, str_of(link->key), on_looked, link);
        loop_run(link->loop);
    }
}

static void find_link(struct link *link, const char *uri)
{
    const struct settings *settings = &link->ctl->settings;
    struct proxy proxy;
    link->loop = loop_open(&link->err);
    link->bucket = link->loop
                       ? stored_open(link->loop, settings, &proxy, &link->err)
                       : NULL;
    if (link->bucket) {
        ask_bucket(link, uri);
        bucket_close(link->bucket);
    }
    if (link->loop) {
        loop_close(link->loop);
    }
    free(link->key);
}

static void tell(const struct link *link, const char *id, int64_t number,
                 const char *uri)
{
    if (!link->ctl->json) {
        printf("%.*s\n", (int)link->url.len, link->url.bytes);
        return;
    }
    json_t *row = json_pack("{sssIss}", "request_id", id, "number",
                            (json_int_t)number, "uri", uri);
    json_object_set_new(row, "url",
                        json_stringn(link->url.bytes, link->url.len));
    ctl_print_json(row);
    json_decref(row);
}

static int link_to(struct ctl *ctl, const char *id, int64_t number,
                   int expires_s)
{
    struct link link = {.ctl = ctl, .expires_s = expires_s};
    json_t *rows = ctl_rows(ctl, "ctl_show", &id, 1);
    if (!rows) {
        return EXIT_FAILED;
    }
    json_t *row = json_array_get(rows, 0);
    json_t *event = row && !pruned_at_ms(row) ? row_event(row) : NULL;
    const char *uri = row_text(
        json_array_get(json_object_get(event, "videos"), (size_t)number),
        "uri");
    buf_init(&link.url, 0);
    if (!row) {
        err_set(&link.err, ERR_PERMANENT, "no such request is stored");
    } else if (pruned_at_ms(row)) {
        err_set(&link.err, ERR_PERMANENT,
                "its history was pruned, and nobody knows its videos");
    } else if (!uri[0]) {
        err_set(&link.err, ERR_PERMANENT,
                "it has no video %" PRId64 " (pixverse-ctl explain %s)", number,
                id);
    } else {
        find_link(&link, uri);
    }
    const bool good = link.url.len > 0 && !link.url.failed;
    if (good) {
        tell(&link, id, number, uri);
    } else {
        fprintf(stderr, "pixverse-ctl link: %s: %s\n", id,
                link.err.text[0] ? link.err.text : "no memory");
    }
    buf_done(&link.url);
    json_decref(event);
    json_decref(rows);
    return good ? EXIT_DONE : EXIT_FAILED;
}

static int run(struct ctl *ctl, const struct options *given)
{
    const char *number_text = options_get(given, "--number");
    const char *expires_text = options_get(given, "--expires");
    int64_t number = 0;
    int64_t expires_s = EXPIRES_S;
    if (given->words_len != 1) {
        return ctl_usage("link", "it wants one request id");
    }
    if (number_text && !str_to_i64(str_of(number_text), 0, 1000, &number)) {
        return ctl_usage("link", "--number is \"%s\", allowed: 0..1000",
                         number_text);
    }
    if (expires_text &&
        !str_to_i64(str_of(expires_text), 1, EXPIRES_S_MAX, &expires_s)) {
        return ctl_usage("link", "--expires is \"%s\", allowed: 1..%d seconds",
                         expires_text, EXPIRES_S_MAX);
    }
    return link_to(ctl, given->words[0], number, (int)expires_s);
}

const struct command command_link = {
    .name = "link",
    .usage = "REQUEST-ID [flags]",
    .help = "a URL that plays a request's video",
    .text = "Of a video in S3 it is a presigned one: whoever has it can read "
            "that video\nuntil it expires, so it is a secret for so long. Of "
            "one in a folder it is the\nfile's own. Only what STORAGE_URL "
            "holds is linked to.\n"
            "\n"
            "Example:\n"
            "  pixverse-ctl link order-1234.clip-1 --expires 600\n",
    .options = options,
    .run = run,
};
