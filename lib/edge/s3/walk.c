#include "edge/s3/walk.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one ---- */

struct look {
    bucket_fn *on_result;
    void *context;
};

static void look_end(struct look *look, const struct bucket_result *result)
{
    const struct look own = *look;
    must_free(look);
    own.on_result(own.context, result);
}

static void on_looked(void *context, const struct s3_end *end)
{
    struct bucket_result result = {.end = s3_bucket_end(end->verdict)};
    if (end->verdict == S3_MISSING) {
        result.end = BUCKET_MISSING;
    }
    if (end->verdict == S3_DONE &&
        !str_to_i64(str_of(end->length), 0, INT64_MAX, &result.bytes)) {
        result.end = BUCKET_FAILED;
        snprintf(result.why, sizeof result.why,
                 "the store does not say how long it is");
    } else if (end->verdict != S3_DONE) {
        snprintf(result.why, sizeof result.why, "%s", end->why);
    }
    look_end(context, &result);
}

static void on_no_look(void *context)
{
    const struct bucket_result result = {.end = BUCKET_FAILED,
                                         .why = "no memory for a look"};
    look_end(context, &result);
}

void s3_look(struct bucket *base, struct str key, bucket_fn *on_result,
             void *context)
{
    struct s3 *s3 = (struct s3 *)(void *)base;
    struct look *look = MUST_NEW(struct look);
    *look = (struct look){on_result, context};
    char text[S3_KEY_BYTES_MAX];
    const struct s3_ask ask = {
        .method = "HEAD",
        .key = s3_key(s3, key, text, sizeof text),
    };
    if (!s3_send(s3, &ask, on_looked, look)) {
        loop_defer(s3->loop, on_no_look, look);
    }
}

/* ---- all ---- */

struct walk {
    struct s3 *s3;
    bucket_objects_fn *on_objects;
    bucket_fn *on_end;
    void *context;
    struct bucket_object *objects; /* BUCKET_OBJECTS_MAX of them */
    struct buf keys;               /* of a page */
};

static void walk_end(struct walk *walk, enum bucket_end end, const char *why)
{
    struct bucket_result result = {.end = end};
    bucket_fn *on_end = walk->on_end;
    void *context = walk->context;
    snprintf(result.why, sizeof result.why, "%s", why);
    buf_done(&walk->keys);
    free(walk->objects);
    must_free(walk);
    on_end(context, &result);
}

/** The objects of a page whose keys begin with the prefix. */
static bool give_page(struct walk *walk, struct str page)
{
    struct str object;
    size_t at = 0;
    size_t len = 0;
    char prefix[S3_KEY_BYTES_MAX];
    const struct str before = s3_key(walk->s3, STR(""), prefix, sizeof prefix);
    buf_reset(&walk->keys);
    while (len < BUCKET_OBJECTS_MAX &&
           (object = s3_xml(page, "Contents", &at)).at) {
        size_t in = 0;
        size_t begins = walk->keys.len;
        int64_t bytes = 0;
        bool known =
            str_to_i64(s3_xml(object, "Size", &in), 0, INT64_MAX, &bytes);
        in = 0;
        s3_xml_decode(&walk->keys, s3_xml(object, "Key", &in));
        /* Placed below, when the buffer moves no more. */
        const struct str key = {.len = walk->keys.len - begins};
        if (known && key.len > before.len) {
            walk->objects[len++] =
                (struct bucket_object){.key = key, .bytes = bytes};
        } else {
            walk->keys.len = begins;
        }
    }
    if (walk->keys.failed) {
        return false;
    }
    size_t kept = 0;
    size_t begins = 0;
    for (size_t i = 0; i < len; i++) {
        const struct str whole = {walk->keys.bytes + begins,
                                  walk->objects[i].key.len};
        const struct str key = {whole.at + before.len, whole.len - before.len};
        begins += whole.len;
        if (str_starts(whole, before) && !s3_is_probe(key)) {
            walk->objects[kept++] =
                (struct bucket_object){key, walk->objects[i].bytes};
        }
    }
    if (kept > 0) {
        walk->on_objects(walk->context, walk->objects, kept);
    }
    return true;
}

static void on_page(void *context, const struct s3_end *end);

/** token: where the next page begins; "": the first. */
static bool ask_page(struct walk *walk, struct str token)
{
    char prefix[S3_KEY_BYTES_MAX];
    struct s3_ask ask = {.method = "GET"};
    struct buf query;
    buf_init(&query, 0);
    buf_printf(&query, "list-type=2&max-keys=%d&prefix=", BUCKET_OBJECTS_MAX);
    sigv4_encode(&query, s3_key(walk->s3, STR(""), prefix, sizeof prefix),
                 false);
    if (token.len > 0) {
        buf_add_text(&query, "&continuation-token=");
        sigv4_encode(&query, token, false);
    }
    s3_ask_query(&ask, &query);
    bool sent = s3_send(walk->s3, &ask, on_page, walk) != NULL;
    buf_done(&query);
    return sent;
}

static void on_page(void *context, const struct s3_end *end)
{
    struct walk *walk = context;
    size_t at = 0;
    struct buf token;
    if (end->verdict != S3_DONE) {
        walk_end(walk,
                 end->verdict == S3_MISSING ? BUCKET_UNUSABLE
                                            : s3_bucket_end(end->verdict),
                 end->why);
        return;
    }
    bool more = str_eq(s3_xml(end->body, "IsTruncated", &at), STR("true"));
    buf_init(&token, 0);
    at = 0;
    s3_xml_decode(&token, s3_xml(end->body, "NextContinuationToken", &at));
    more = more && (token.len > 0 || token.failed);
    if (!give_page(walk, end->body) ||
        (more && (token.failed || !ask_page(walk, buf_str(&token))))) {
        walk_end(walk, BUCKET_FAILED, "no memory for a listing");
    } else if (!more) {
        walk_end(walk, BUCKET_DONE, "");
    }
    buf_done(&token);
}

static void on_no_walk(void *context)
{
    walk_end(context, BUCKET_FAILED, "no memory for a listing");
}

void s3_walk(struct bucket *base, bucket_objects_fn *on_objects,
             bucket_fn *on_end, void *context)
{
    struct walk *walk = MUST_NEW(struct walk);
    walk->s3 = (struct s3 *)(void *)base;
    walk->on_objects = on_objects;
    walk->on_end = on_end;
    walk->context = context;
    walk->objects = calloc(BUCKET_OBJECTS_MAX, sizeof *walk->objects);
    buf_init(&walk->keys, 0);
    if (!walk->objects || !ask_page(walk, STR(""))) {
        loop_defer(walk->s3->loop, on_no_walk, walk);
    }
}
