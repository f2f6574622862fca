#include "topics.h"

#include <stdlib.h>

size_t topics_of(const struct settings *settings,
                 struct topic_wish wishes[static WISHES_MAX])
{
    size_t len = 0;
    wishes[len++] =
        (struct topic_wish){settings->kafka_request_topic, TOPIC_READ};
    wishes[len++] =
        (struct topic_wish){settings->kafka_event_topic, TOPIC_WRITE};
    wishes[len++] =
        (struct topic_wish){settings->kafka_rejected_topic, TOPIC_WRITE};
    if (settings->kafka_progress_topic[0]) {
        wishes[len++] =
            (struct topic_wish){settings->kafka_progress_topic, TOPIC_WRITE};
    }
    return len;
}

struct kafka_property *properties_of(const struct settings *settings)
{
    size_t len = settings->kafka_conf_len;
    struct kafka_property *properties = calloc(len + 1, sizeof *properties);
    for (size_t i = 0; properties && i < len; i++) {
        properties[i] = (struct kafka_property){settings->kafka_conf[i].name,
                                                settings->kafka_conf[i].value};
    }
    return properties;
}
