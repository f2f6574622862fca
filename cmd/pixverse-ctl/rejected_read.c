#include "rejected_read.h"

#include "edge/scan.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORIGINALS_BYTES_MAX (64 << 20) /* of one run */
#define TEXT_POINTS_MAX 200            /* of a key, in a table or in JSON */

/** Bytes as JSON: as text where they are one. */
static json_t *bytes_as_text(struct str bytes)
{
    if (!bytes.at) {
        return json_null();
    }
    if (str_is_utf8(bytes)) {
        struct str cut = str_cut_points(bytes, TEXT_POINTS_MAX);
        return json_stringn(cut.at, cut.len);
    }
    char hex[2 * TEXT_POINTS_MAX + 1];
    size_t len = bytes.len < TEXT_POINTS_MAX ? bytes.len : TEXT_POINTS_MAX;
    str_hex((const unsigned char *)bytes.at, len, hex);
    return json_string(hex);
}

/** Where what was added to the message begins: with the last header "error".
 */
static size_t original_headers(const struct message *message)
{
    for (size_t i = message->headers_len; i-- > 0;) {
        if (str_eq(message->headers[i].name, STR("error"))) {
            return i;
        }
    }
    return message->headers_len;
}

static struct str copy(struct arena *arena, struct str bytes)
{
    if (!bytes.at) {
        return (struct str){0};
    }
    return (struct str){arena_copy(arena, bytes.at, bytes.len), bytes.len};
}

static void keep_original(struct rejecteds *found, struct rejected *rejected,
                          const struct message *message)
{
    size_t len = original_headers(message);
    struct event_header *headers =
        arena_alloc(&found->arena, (len + 1) * sizeof *headers);
    for (size_t i = 0; headers && i < len; i++) {
        headers[i] = (struct event_header){
            copy(&found->arena, message->headers[i].name),
            copy(&found->arena, message->headers[i].value)};
    }
    rejected->original = (struct outgoing){
        .key = copy(&found->arena, message->key),
        .value = copy(&found->arena, message->value),
        .headers = headers,
        .headers_len = len,
    };
    found->bytes += (int64_t)(message->value.len + message->key.len);
    found->failed = found->failed || found->arena.failed;
}

static json_t *describe(const struct message *message,
                        struct rejected *rejected)
{
    char id[40];
    char time[25];
    json_t *about = json_object();
    snprintf(id, sizeof id, "%" PRId32 ":%" PRId64, message->partition,
             message->offset);
    str_time(message->produced_ms, time);
    json_object_set_new(about, "id", json_string(id));
    json_object_set_new(about, "rejected", json_string(time));
    json_object_set_new(about, "key", bytes_as_text(message->key));
    json_object_set_new(about, "bytes",
                        json_integer((json_int_t)message->value.len));
    for (size_t i = original_headers(message); i < message->headers_len; i++) {
        const struct message_header *header = &message->headers[i];
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)header->name.len,
                 header->name.at);
        json_object_set_new(about, name, bytes_as_text(header->value));
        rejected->dropped = rejected->dropped ||
                            str_eq(header->name, STR("value_dropped")) ||
                            str_eq(header->name, STR("key_dropped"));
    }
    return about;
}

static bool has_room(struct rejecteds *found)
{
    if (found->len < found->size) {
        return true;
    }
    size_t size = found->size ? found->size * 2 : 64;
    struct rejected *all = realloc(found->all, size * sizeof *all);
    if (!all) {
        found->failed = true;
        return false;
    }
    found->all = all;
    found->size = size;
    return true;
}

static void on_message(void *context, const struct message *message)
{
    struct rejecteds *found = context;
    struct rejected rejected = {.partition = message->partition,
                                .offset = message->offset,
                                .produced_ms = message->produced_ms};
    if (found->failed || !has_room(found)) {
        return;
    }
    rejected.about = describe(message, &rejected);
    if (found->error &&
        strcmp(row_text(rejected.about, "error"), found->error) != 0) {
        json_decref(rejected.about);
        return;
    }
    if (found->whole && found->bytes > ORIGINALS_BYTES_MAX) {
        found->left++;
        json_decref(rejected.about);
        return;
    }
    if (found->whole) {
        keep_original(found, &rejected, message);
    }
    found->all[found->len++] = rejected;
}

/** Which were replayed, as far as the database knows. */
static bool mark_replayed(struct ctl *ctl, struct rejecteds *found)
{
    const char *const params[] = {ctl->settings.kafka_rejected_topic};
    json_t *rows = ctl_rows(ctl, "ctl_replayed", params, 1);
    json_t *marks = json_object();
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        json_object_set_new(marks, row_text(row, "mark"), json_true());
    }
    for (i = 0; i < found->len; i++) {
        struct rejected *rejected = &found->all[i];
        char mark[80];
        snprintf(mark, sizeof mark, "%" PRId32 ":%" PRId64 ":%" PRId64,
                 rejected->partition, rejected->offset, rejected->produced_ms);
        rejected->replayed = json_object_get(marks, mark) != NULL;
        json_object_set_new(rejected->about, "replayed",
                            json_boolean(rejected->replayed));
    }
    json_decref(marks);
    json_decref(rows);
    return rows != NULL;
}

bool rejecteds_read(struct ctl *ctl, struct rejecteds *found,
                    const struct rejected_ask *ask)
{
    const struct settings *s = &ctl->settings;
    struct err err = {0};
    const struct topics_options topics = {
        .brokers = s->kafka_brokers,
        .group = s->kafka_group,
        .properties = ctl->properties,
        .properties_len = s->kafka_conf_len,
    };
    const struct scan scan = {
        .topic = s->kafka_rejected_topic,
        .since_ms = ask->since_ms,
        .partition = ask->partition,
        .offset = ask->offset,
        .messages_max = ask->messages_max,
    };
    int64_t older = 0;
    bool good = scan_topic(&topics, &scan, on_message, found, &older, &err);
    found->older += older;
    if (!good) {
        fprintf(stderr, "pixverse-ctl rejected: %s\n", err.text);
    } else if (found->failed) {
        fprintf(stderr, "pixverse-ctl rejected: no memory\n");
    }
    return good && !found->failed && mark_replayed(ctl, found);
}

static int by_time(const void *left, const void *right)
{
    const struct rejected *a = left;
    const struct rejected *b = right;
    if (a->produced_ms != b->produced_ms) {
        return a->produced_ms < b->produced_ms ? -1 : 1;
    }
    if (a->partition != b->partition) {
        return a->partition < b->partition ? -1 : 1;
    }
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

void rejecteds_sort(struct rejecteds *found)
{
    if (found->len) {
        qsort(found->all, found->len, sizeof *found->all, by_time);
    }
}

void rejecteds_init(struct rejecteds *found)
{
    *found = (struct rejecteds){0};
    arena_init(&found->arena, 1 << 16, 0);
}

void rejecteds_done(struct rejecteds *found)
{
    for (size_t i = 0; i < found->len; i++) {
        json_decref(found->all[i].about);
    }
    free(found->all);
    arena_done(&found->arena);
    *found = (struct rejecteds){0};
}
