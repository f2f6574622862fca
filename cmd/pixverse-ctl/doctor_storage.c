#include "doctor_storage.h"

#include "core/asset.h"
#include "core/event.h"
#include "core/json.h"
#include "edge/bucket.h"
#include "many.h"
#include "order.h"
#include "stored.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS 200
#define LOOKS_MAX 16 /* at once */
#define URI_BYTES_MAX STORED_URI_BYTES

struct storage {
    struct doctor *doctor;
    struct loop *loop;
    struct bucket *bucket;
    char base[URI_BYTES_MAX]; /* what URIs of this bucket begin with */
    json_t *found;            /* groups: what was found, by finding */
    bool failed;              /* why is said, or will be */
    bool cant;                /* the database doesn't answer */
};

struct page;

/** One video that was told. */
struct told {
    struct page *page;
    const char *request_id;
    char *key;
    int64_t bytes;
};

/** A page of them, LOOKS_MAX under way. */
struct page {
    struct storage *storage;
    struct told *all;
    size_t len;
    size_t next;
    size_t under_way;
};

static void find(struct storage *storage, const char *finding, const char *what)
{
    groups_add(storage->found, finding, what);
}

/** The videos of a stored event; caller's; null: none. */
static json_t *videos_of(const json_t *stored)
{
    struct event event;
    bool no_memory = false;
    const struct str text = {json_string_value(stored),
                             json_string_length(stored)};
    if (!text.at || !event_open(text, &event)) {
        return NULL;
    }
    json_t *value = json_read(event.value, &no_memory);
    json_t *videos = json_incref(json_object_get(value, "videos"));
    json_decref(value);
    return videos;
}

/* ---- Rows: is it there? ---- */

static void look_on(struct page *page);

static void judge(struct told *told, const struct bucket_result *result)
{
    struct storage *storage = told->page->storage;
    char what[300];
    switch (result->end) {
    case BUCKET_DONE:
        if (result->bytes != told->bytes) {
            snprintf(what, sizeof what, "%s (%" PRId64 " of %" PRId64 " bytes)",
                     told->request_id, result->bytes, told->bytes);
            find(storage, "object_differs", what);
        }
        break;
    case BUCKET_MISSING:
        find(storage, "object_missing", told->request_id);
        break;
    case BUCKET_EXISTS:
    case BUCKET_FAILED:
    case BUCKET_UNUSABLE:
    case BUCKET_CANCELLED:
        if (!storage->failed) {
            find(storage, "storage", result->why);
        }
        storage->failed = true; /* the others would say the same */
        break;
    }
}

static void on_looked(void *context, const struct bucket_result *result)
{
    struct told *told = context;
    struct page *page = told->page;
    assert(page->under_way > 0);
    page->under_way--;
    judge(told, result);
    look_on(page);
    if (page->under_way == 0) {
        loop_stop(page->storage->loop);
    }
}

static void look_on(struct page *page)
{
    while (page->under_way < LOOKS_MAX && page->next < page->len &&
           !page->storage->failed) {
        struct told *told = &page->all[page->next++];
        page->under_way++;
        bucket_look(page->storage->bucket, str_of(told->key), on_looked, told);
    }
}

/** The videos of a row, behind those of the others. */
static bool add_told(struct page *page, const json_t *row)
{
    json_t *videos = videos_of(json_object_get(row, "event"));
    size_t more = json_array_size(videos);
    struct told *all = realloc(page->all, (page->len + more + 1) * sizeof *all);
    size_t i;
    const json_t *video;
    page->all = all ? all : page->all;
    json_array_foreach(videos, i, video)
    {
        char *key =
            all ? stored_key(page->storage->base, row_text(video, "uri"))
                : NULL;
        if (key) {
            page->all[page->len++] = (struct told){
                .page = page,
                .request_id = row_text(row, "request_id"),
                .key = key,
                .bytes = row_number(video, "bytes"),
            };
        }
    }
    json_decref(videos);
    return all != NULL;
}

static bool look_at_page(struct storage *storage, const json_t *rows)
{
    struct page page = {.storage = storage};
    size_t i;
    const json_t *row;
    bool good = true;
    json_array_foreach(rows, i, row)
    {
        good = good && add_told(&page, row);
    }
    look_on(&page);
    if (page.under_way > 0) {
        loop_run(storage->loop);
    }
    for (i = 0; i < page.len; i++) {
        free(page.all[i].key);
    }
    free(page.all);
    return good;
}

static bool look_at_rows(struct storage *storage, int64_t rows_max)
{
    char below[24] = FILTER_ALL;
    char most[24];
    int64_t left = rows_max;
    bool good = true;
    size_t len = 1;
    while (good && len > 0 && left > 0 && !storage->failed) {
        const char *const params[] = {below, most};
        snprintf(most, sizeof most, "%" PRId64,
                 left < PAGE_ROWS ? left : PAGE_ROWS);
        json_t *rows =
            ctl_rows(storage->doctor->ctl, "ctl_doctor_videos", params, 2);
        len = json_array_size(rows);
        left -= (int64_t)len;
        snprintf(below, sizeof below, "%" PRId64,
                 row_number(json_array_get(rows, len - 1), "id"));
        good = rows && look_at_page(storage, rows);
        json_decref(rows);
    }
    return good;
}

/* ---- Objects: was it told? ---- */

/** The URIs that were told of these requests, and whose rows can't tell: with
 * null in the place of their URIs. */
static json_t *told_of(struct storage *storage, const json_t *ids)
{
    size_t len = json_object_size(ids);
    const char **names = calloc(len + 1, sizeof *names);
    const char *id;
    const json_t *unused;
    size_t n = 0;
    json_object_foreach((json_t *)ids, id, unused)
    {
        if (names) {
            names[n++] = id;
        }
    }
    struct buf literal;
    ids_literal(&literal, names, n);
    const char *param = literal.bytes;
    json_t *rows = names && param ? ctl_rows(storage->doctor->ctl,
                                             "ctl_doctor_told", &param, 1)
                                  : NULL;
    buf_done(&literal);
    free(names);
    return rows;
}

static void add_uris(json_t *known, const json_t *row)
{
    size_t i;
    const json_t *stored;
    json_array_foreach(json_object_get(row, "events"), i, stored)
    {
        size_t j;
        const json_t *video;
        json_t *videos = videos_of(stored);
        json_array_foreach(videos, j, video)
        {
            json_object_set_new(known, row_text(video, "uri"), json_true());
        }
        json_decref(videos);
    }
}

static void on_objects(void *context, const struct bucket_object *objects,
                       size_t len)
{
    struct storage *storage = context;
    const char *names = storage->doctor->ctl->settings.key_template;
    json_t *ids = json_object();
    json_t *known = json_object(); /* URIs; and ids that can't tell */
    char id[REQUEST_ID_BYTES];
    for (size_t i = 0; i < len; i++) {
        struct str request = asset_key_request(names, objects[i].key);
        snprintf(id, sizeof id, "%.*s", (int)request.len,
                 request.at ? request.at : "");
        if (request.len > 0) {
            json_object_set_new(ids, id, json_true());
        }
    }
    json_t *rows = storage->cant ? NULL : told_of(storage, ids);
    size_t at;
    const json_t *row;
    storage->cant = storage->cant || !rows;
    json_array_foreach(rows, at, row)
    {
        if (json_is_true(json_object_get(row, "open")) ||
            json_object_get(row, "pruned_ms")) {
            json_object_set_new(known, row_text(row, "request_id"),
                                json_true());
        }
        add_uris(known, row);
    }
    for (size_t i = 0; rows && i < len; i++) {
        char uri[URI_BYTES_MAX];
        struct str request = asset_key_request(names, objects[i].key);
        snprintf(id, sizeof id, "%.*s", (int)request.len,
                 request.at ? request.at : "");
        bucket_uri(storage->bucket, objects[i].key, uri, sizeof uri);
        if (request.len > 0 && !json_object_get(known, id) &&
            !json_object_get(known, uri)) {
            find(storage, "object_unknown", uri);
        }
    }
    json_decref(rows);
    json_decref(known);
    json_decref(ids);
}

static void on_walked(void *context, const struct bucket_result *result)
{
    struct storage *storage = context;
    if (result->end != BUCKET_DONE) {
        find(storage, "storage", result->why);
    }
    loop_stop(storage->loop);
}

/* ---- The whole ---- */

static void tell_all(struct storage *storage)
{
    const char *finding;
    const json_t *group;
    json_object_foreach(storage->found, finding, group)
    {
        doctor_tell(storage->doctor, finding, row_number(group, "n"),
                    json_object_get(group, "ids"), NULL);
    }
}

static bool look_at_both(struct storage *storage, int64_t rows_max)
{
    stored_base(storage->bucket, storage->base, sizeof storage->base);
    bool good = look_at_rows(storage, rows_max);
    if (good && !storage->failed) {
        bucket_walk(storage->bucket, on_objects, on_walked, storage);
        loop_run(storage->loop);
    }
    tell_all(storage);
    return good && !storage->cant;
}

bool doctor_storage(struct doctor *doctor, int64_t rows_max)
{
    const struct settings *settings = &doctor->ctl->settings;
    struct storage storage = {.doctor = doctor, .found = json_object()};
    struct err err = {0};
    bool good = true;
    storage.loop = loop_open(&err);
    struct proxy proxy;
    storage.bucket =
        storage.loop ? stored_open(storage.loop, settings, &proxy, &err) : NULL;
    if (storage.bucket) {
        good = look_at_both(&storage, rows_max);
        bucket_close(storage.bucket);
    } else {
        doctor_tell_one(doctor, "storage", err.text);
    }
    if (storage.loop) {
        loop_close(storage.loop);
    }
    json_decref(storage.found);
    return good;
}
