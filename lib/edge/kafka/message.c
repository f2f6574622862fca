#include "edge/kafka/message.h"

#include <stdlib.h>
#include <string.h>

static struct str copy_to(char **at, const void *bytes, size_t len)
{
    if (!bytes) {
        return (struct str){0};
    }
    struct str copy = {*at, len};
    if (len > 0) {
        memcpy(*at, bytes, len);
    }
    (*at)[len] = '\0';
    *at += len + 1;
    return copy;
}

static size_t headers_measure(const rd_kafka_headers_t *headers, size_t *bytes)
{
    size_t count = 0;
    const char *name;
    const void *value;
    size_t len;
    while (headers &&
           rd_kafka_header_get_all(headers, count, &name, &value, &len) == 0) {
        *bytes += strlen(name) + len + 2;
        count++;
    }
    return count;
}

static void headers_copy(const rd_kafka_headers_t *headers,
                         struct message_header *out, size_t count, char **at)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = "";
        const void *value = NULL;
        size_t len = 0;
        (void)rd_kafka_header_get_all(headers, i, &name, &value, &len);
        out[i].name = copy_to(at, name, strlen(name));
        out[i].value = copy_to(at, value, len);
    }
}

struct kafka_message *kafka_message_new(const rd_kafka_message_t *from,
                                        struct str topic, uint32_t epoch)
{
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(from, &headers) != 0) {
        headers = NULL;
    }
    size_t bytes = from->key_len + from->len + 2;
    size_t count = headers_measure(headers, &bytes);
    struct kafka_message *copy =
        malloc(sizeof *copy + count * sizeof copy->headers[0] + bytes);
    if (!copy) {
        return NULL;
    }
    list_init(&copy->link);
    copy->epoch = epoch;
    char *at = (char *)(copy->headers + count);
    rd_kafka_timestamp_type_t type;
    int64_t produced_ms = rd_kafka_message_timestamp(from, &type);
    copy->message = (struct message){
        .topic = topic,
        .partition = from->partition,
        .offset = from->offset,
        .produced_ms = produced_ms > 0 ? produced_ms : 0,
        .key = copy_to(&at, from->key, from->key_len),
        .value = copy_to(&at, from->payload, from->len),
        .headers = copy->headers,
        .headers_len = count,
        .inside = copy,
    };
    headers_copy(headers, copy->headers, count, &at);
    return copy;
}

void kafka_message_free(struct kafka_message *message)
{
    list_remove(&message->link);
    free(message);
}
