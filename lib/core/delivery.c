#include "core/delivery.h"

#include "core/request_fields.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* How far off is still as ordered. Encoders round sides to whole blocks, and
 * lengths to whole frames; orders are of whole seconds. */
#define SIDE_TOLERANCE 10   /* a tenth of the side */
#define ASPECT_TOLERANCE 20 /* a twentieth of the shape */
#define DURATION_TOLERANCE_MS 500

/** 0: nothing that could be read was ordered. */
struct order {
    int64_t side; /* the shorter one, pixels */
    int64_t duration_ms;
    int64_t wide, high; /* its shape; 0: the mode takes it from its images */
    bool audio;
    bool silent;
    bool extends; /* what came before may be part of the film */
};

static const char *const codes[] = {
#define X(name, code, field) code,
    DELIVERY_DIFFERENCES(X)
#undef X
};

static const char *const fields[] = {
#define X(name, code, field) field,
    DELIVERY_DIFFERENCES(X)
#undef X
};

const char *delivery_code(enum delivery_difference difference)
{
    assert(difference < DELIVERY_DIFFERENCES_LEN);
    return codes[difference];
}

/* ---- what was ordered ---- */

/** A field of the body, else its default; the caller's, null: none. */
static json_t *ordered(const json_t *body, const char *name,
                       enum request_mode mode, bool *no_memory)
{
    const struct field *field = field_find(&body_fields, str_of(name));
    assert(field && field->usual);
    if (!(field->modes & MODE_BIT(mode))) {
        return NULL;
    }
    json_t *value = json_object_get(body, name);
    return value ? json_incref(value)
                 : json_read(str_of(field->usual), no_memory);
}

/** "540p" */
static int64_t side_of(struct str text)
{
    int64_t side = 0;
    text.len -= str_ends(text, STR("p"));
    return str_to_i64(text, 1, UINT16_MAX, &side) ? side : 0;
}

/** "16:9" */
static void shape_of(struct str text, struct order *order)
{
    const char *colon = text.len ? memchr(text.at, ':', text.len) : NULL;
    const size_t before = colon ? (size_t)(colon - text.at) : 0;
    int64_t wide = 0;
    int64_t high = 0;
    if (colon &&
        str_to_i64((struct str){text.at, before}, 1, UINT16_MAX, &wide) &&
        str_to_i64((struct str){colon + 1, text.len - before - 1}, 1,
                   UINT16_MAX, &high)) {
        order->wide = wide;
        order->high = high;
    }
}

/** @return  false: no memory. */
static bool read_order(struct str text, enum request_mode mode,
                       struct order *order)
{
    bool no_memory = false;
    *order = (struct order){.extends = mode == MODE_EXTEND};
    json_t *body = text.len ? json_read(text, &no_memory) : NULL;
    if (!json_is_object(body)) {
        json_decref(body);
        return !no_memory;
    }
    json_t *side = ordered(body, "resolution", mode, &no_memory);
    json_t *duration = ordered(body, "duration", mode, &no_memory);
    json_t *shape = ordered(body, "size", mode, &no_memory);
    json_t *audio = ordered(body, "audio", mode, &no_memory);
    order->side = side_of(str_of(json_string_value(side)));
    shape_of(str_of(json_string_value(shape)), order);
    int64_t seconds = 0;
    if (duration && json_to_i64(duration, &seconds) == JSON_WHOLE &&
        seconds > 0 && seconds < INT32_MAX) {
        order->duration_ms = seconds * 1000;
    }
    order->audio = json_is_true(audio);
    order->silent = json_is_false(audio);
    json_decref(side);
    json_decref(duration);
    json_decref(shape);
    json_decref(audio);
    json_decref(body);
    return !no_memory;
}

/* ---- whether it came ---- */

static int64_t apart(int64_t a, int64_t b)
{
    return a > b ? a - b : b - a;
}

static unsigned compare(const struct order *order, const struct media *media)
{
    unsigned differs = 0;
    const int64_t w = media->width;
    const int64_t h = media->height;
    if (w && order->side &&
        apart(w < h ? w : h, order->side) * SIDE_TOLERANCE > order->side) {
        differs |= DELIVERY_BIT(DELIVERY_RESOLUTION);
    }
    if (w && order->wide &&
        apart(w * order->high, h * order->wide) * ASPECT_TOLERANCE >
            h * order->wide) {
        differs |= DELIVERY_BIT(DELIVERY_ASPECT);
    }
    /* An extended film may hold what it extends. */
    if (media->duration_ms && order->duration_ms &&
        apart(media->duration_ms, order->duration_ms) > DURATION_TOLERANCE_MS &&
        !(order->extends && media->duration_ms > order->duration_ms)) {
        differs |= DELIVERY_BIT(DELIVERY_DURATION);
    }
    if (order->audio && media->audio == MEDIA_AUDIO_NONE) {
        differs |= DELIVERY_BIT(DELIVERY_AUDIO_MISSING);
    }
    if (order->silent && media->audio == MEDIA_AUDIO_THERE && !order->extends) {
        differs |= DELIVERY_BIT(DELIVERY_AUDIO_UNASKED);
    }
    return differs;
}

/* ---- in words ---- */

static const char *tell(enum delivery_difference difference, size_t index,
                        const struct order *order, const struct media *media,
                        size_t others, struct arena *arena)
{
    char what[128] = "";
    char more[48] = "";
    switch (difference) {
    case DELIVERY_RESOLUTION:
        snprintf(what, sizeof what, "is %dx%d, ordered: %lldp", media->width,
                 media->height, (long long)order->side);
        break;
    case DELIVERY_ASPECT:
        snprintf(what, sizeof what, "is %dx%d, ordered: %lld:%lld",
                 media->width, media->height, (long long)order->wide,
                 (long long)order->high);
        break;
    case DELIVERY_DURATION:
        snprintf(what, sizeof what, "lasts %.9g seconds, ordered: %s%lld",
                 (double)media->duration_ms / 1000,
                 order->extends ? "at least " : "",
                 (long long)order->duration_ms / 1000);
        break;
    case DELIVERY_AUDIO_MISSING:
        snprintf(what, sizeof what, "has no sound, ordered: with audio");
        break;
    case DELIVERY_AUDIO_UNASKED:
        snprintf(what, sizeof what, "has sound, ordered: without audio");
        break;
    case DELIVERY_DIFFERENCES_LEN:
        break;
    }
    if (others) {
        snprintf(more, sizeof more, "; and %zu more", others);
    }
    return arena_printf(arena, "videos[%zu] %s%s", index, what, more);
}

bool delivery_compare(struct str body, enum request_mode mode,
                      const struct stored_video *videos, size_t videos_len,
                      unsigned *differs, struct details *warnings,
                      struct arena *arena)
{
    struct order order;
    size_t first[DELIVERY_DIFFERENCES_LEN];
    size_t count[DELIVERY_DIFFERENCES_LEN] = {0};
    assert(differs && warnings && arena);
    assert(videos || videos_len == 0);
    *differs = 0;
    *warnings = (struct details){0};
    if (!videos_len) {
        return true;
    }
    if (!read_order(body, mode, &order)) {
        return false;
    }
    for (size_t i = 0; i < videos_len; i++) {
        const unsigned found = compare(&order, &videos[i].media);
        for (int k = 0; k < DELIVERY_DIFFERENCES_LEN; k++) {
            if (found & DELIVERY_BIT(k)) {
                first[k] = count[k]++ ? first[k] : i;
            }
        }
        *differs |= found;
    }
    if (!*differs) {
        return true;
    }
    warnings->items =
        arena_alloc(arena, DELIVERY_DIFFERENCES_LEN * sizeof *warnings->items);
    for (int k = 0; warnings->items && k < DELIVERY_DIFFERENCES_LEN; k++) {
        if (count[k]) {
            const char *text =
                tell((enum delivery_difference)k, first[k], &order,
                     &videos[first[k]].media, count[k] - 1, arena);
            warnings->items[warnings->len++] = (struct detail){
                .field = str_of(fields[k]),
                .code = codes[k],
                .message = str_of(text),
            };
        }
    }
    return !arena->failed;
}
