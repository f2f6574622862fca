#include "rules.h"

#include <jansson.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct resolution {
    const char *name;
    uint32_t short_side;   /* pixels */
    int64_t second_micros; /* price of a second */
};

struct size {
    const char *name;
    uint32_t wide, high;
};

static const struct resolution resolutions[] = {
    {"360p", 360, 30000},
    {"540p", 540, 40000}, /* 0.2 for the page's sample: 540p, 5 s */
    {"720p", 720, 50000}, /* 0.25, its sample of a missing balance */
    {"1080p", 1080, 90000},
};

static const struct size sizes[] = {
    {"16:9", 16, 9}, {"4:3", 4, 3}, {"1:1", 1, 1}, {"3:4", 3, 4},
    {"9:16", 9, 16}, {"2:3", 2, 3}, {"3:2", 3, 2}, {"21:9", 21, 9},
};

enum { AUDIO_PERCENT = 150 }; /* of the price */

__attribute__((format(printf, 3, 4))) static bool
refuse(struct refusal *refusal, const char *param, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(refusal->text, sizeof(refusal->text), format, args);
    va_end(args);
    refusal->param = param;
    return false;
}

static size_t code_points(const json_t *text)
{
    return str_code_points(
        (struct str){json_string_value(text), json_string_length(text)});
}

static bool check_text(const json_t *body, const char *name, bool required,
                       size_t points_max, struct refusal *refusal)
{
    const json_t *text = json_object_get(body, name);
    if (!text || json_is_null(text)) {
        return !required || refuse(refusal, name, "%s is required", name);
    }
    if (!json_is_string(text)) {
        return refuse(refusal, name, "invalid type for %s, expected string",
                      name);
    }
    if (required && str_trim(str_of(json_string_value(text))).len == 0) {
        return refuse(refusal, name, "%s is required", name);
    }
    if (code_points(text) > points_max) {
        return refuse(refusal, name,
                      "%s is too long: %zu characters, maximum %zu", name,
                      code_points(text), points_max);
    }
    return true;
}

static bool check_boolean(const json_t *body, const char *name, bool *value,
                          struct refusal *refusal)
{
    const json_t *given = json_object_get(body, name);
    *value = json_is_true(given);
    if (!given || json_is_null(given) || json_is_boolean(given)) {
        return true;
    }
    return refuse(refusal, name, "invalid type for %s, expected boolean", name);
}

/** An integer, or a real without fraction. */
static bool check_integer(const json_t *body, const char *name,
                          json_int_t absent, json_int_t *value,
                          struct refusal *refusal)
{
    const json_t *given = json_object_get(body, name);
    *value = absent;
    if (!given || json_is_null(given)) {
        return true;
    }
    if (json_is_integer(given)) {
        *value = json_integer_value(given);
        return true;
    }
    double real = json_is_real(given) ? json_real_value(given) : 0.5;
    if (real > -9e15 && real < 9e15 && real == (double)(json_int_t)real) {
        *value = (json_int_t)real;
        return true;
    }
    return refuse(refusal, name, "invalid type for %s, expected integer", name);
}

static bool is_private_host(struct str host)
{
    static const char *const starts[] = {
        "127.", "10.", "192.168.", "169.254.", "0.", "[::1]", "localhost"};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        if (str_starts(host, str_of(starts[i]))) {
            return true;
        }
    }
    return host.len == 0;
}

static bool check_url(const json_t *url, const char *name,
                      struct refusal *refusal)
{
    if (!json_is_string(url)) {
        return refuse(refusal, name, "invalid type for %s, expected url", name);
    }
    struct str text = {json_string_value(url), json_string_length(url)};
    struct str rest = text;
    if (str_starts(text, STR("https://"))) {
        rest.at += 8;
        rest.len -= 8;
    } else if (str_starts(text, STR("http://"))) {
        rest.at += 7;
        rest.len -= 7;
    } else {
        return refuse(refusal, name,
                      "invalid %s, only public http/https urls are supported",
                      name);
    }
    if (is_private_host(rest)) {
        return refuse(refusal, name, "invalid %s, the url is not public", name);
    }
    return true;
}

static bool check_urls(const json_t *urls, const char *name, size_t max,
                       struct refusal *refusal)
{
    if (!json_is_array(urls)) {
        return refuse(refusal, name, "invalid type for %s, expected array",
                      name);
    }
    const size_t count = json_array_size(urls);
    if (max > 0 && (count < 1 || count > max)) {
        return refuse(refusal, name,
                      "invalid %s, allowed: 1-%zu images, got %zu", name, max,
                      count);
    }
    for (size_t i = 0; i < count; i++) {
        if (!check_url(json_array_get(urls, i), name, refusal)) {
            return false;
        }
    }
    return true;
}

/** Given, and neither null, "" nor []. */
static bool has(const json_t *body, const char *name)
{
    const json_t *value = json_object_get(body, name);
    if (json_is_string(value)) {
        return json_string_length(value) > 0;
    }
    if (json_is_array(value)) {
        return json_array_size(value) > 0;
    }
    return value && !json_is_null(value);
}

/** The page: matched by priority, the first that fits wins. */
static bool find_mode(struct order *order, const json_t *body,
                      struct refusal *refusal)
{
    const bool first = has(body, "first_frame_image");
    const bool last = has(body, "last_frame_image");
    if (first != last) {
        return refuse(refusal, first ? "last_frame_image" : "first_frame_image",
                      "first_frame_image and last_frame_image must be "
                      "provided together");
    }
    if (json_is_array(json_object_get(body, "img_references")) &&
        !has(body, "img_references")) {
        return refuse(refusal, "img_references",
                      "invalid img_references, allowed: 1-7 images, got 0");
    }
    if (has(body, "image_urls")) {
        order->mode = MODE_IMAGE;
        return check_urls(json_object_get(body, "image_urls"), "image_urls", 0,
                          refusal);
    }
    if (first) {
        order->mode = MODE_TRANSITION;
        return check_url(json_object_get(body, "first_frame_image"),
                         "first_frame_image", refusal) &&
               check_url(json_object_get(body, "last_frame_image"),
                         "last_frame_image", refusal);
    }
    if (has(body, "img_references")) {
        order->mode = MODE_FUSION;
        return check_urls(json_object_get(body, "img_references"),
                          "img_references", 7, refusal);
    }
    const json_t *source = json_object_get(body, "extend_from_task_id");
    if (!has(body, "extend_from_task_id")) {
        order->mode = MODE_TEXT;
        return true;
    }
    if (!json_is_string(source) ||
        json_string_length(source) >= sizeof(order->extend_from)) {
        return refuse(refusal, "extend_from_task_id",
                      "invalid extend_from_task_id");
    }
    order->mode = MODE_EXTEND;
    memcpy(order->extend_from, json_string_value(source),
           json_string_length(source));
    return true;
}

static bool check_duration(struct order *order, const json_t *body,
                           struct refusal *refusal)
{
    json_int_t seconds = 0;
    if (!check_integer(body, "duration", 5, &seconds, refusal)) {
        return false;
    }
    if (seconds < 1 || seconds > 15) {
        return refuse(refusal, "duration",
                      "invalid duration %lld, allowed range: 1-15 seconds",
                      (long long)seconds);
    }
    if (order->mode == MODE_TRANSITION && seconds != 5 && seconds != 8) {
        return refuse(refusal, "duration",
                      "invalid duration %lld, transition mode allows: 5, 8 "
                      "seconds",
                      (long long)seconds);
    }
    order->seconds = (uint32_t)seconds;
    return true;
}

static bool check_resolution(const json_t *body,
                             const struct resolution **found,
                             struct refusal *refusal)
{
    const json_t *given = json_object_get(body, "resolution");
    *found = &resolutions[1];
    if (!given || json_is_null(given)) {
        return true;
    }
    const char *name = json_string_value(given);
    for (size_t i = 0; name && i < 4; i++) {
        if (strcmp(name, resolutions[i].name) == 0) {
            *found = &resolutions[i];
            return true;
        }
    }
    return refuse(refusal, "resolution",
                  "invalid resolution: %.40s, allowed: 360p, 540p, 720p, 1080p",
                  name ? name : "not a string");
}

static bool check_size(const struct order *order, const json_t *body,
                       const struct size **found, struct refusal *refusal)
{
    const json_t *given = json_object_get(body, "size");
    *found = &sizes[0];
    if (!given || json_is_null(given) ||
        (order->mode != MODE_TEXT && order->mode != MODE_FUSION)) {
        return true;
    }
    const char *name = json_string_value(given);
    for (size_t i = 0; name && i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (strcmp(name, sizes[i].name) == 0) {
            *found = &sizes[i];
            return true;
        }
    }
    return refuse(refusal, "size",
                  "invalid size: %.40s, allowed: 16:9, 4:3, 1:1, 3:4, 9:16, "
                  "2:3, 3:2, 21:9",
                  name ? name : "not a string");
}

static bool check_motion(const json_t *body, struct refusal *refusal)
{
    const json_t *motion = json_object_get(body, "motion_mode");
    if (!motion || json_is_null(motion)) {
        return true;
    }
    const char *name = json_string_value(motion);
    if (name && strcmp(name, "normal") == 0) {
        return true;
    }
    return refuse(refusal, "motion_mode",
                  "invalid motion_mode: %.40s, pixverse-v6 only supports "
                  "normal",
                  name ? name : "not a string");
}

static bool check_model(const json_t *body, struct refusal *refusal)
{
    const json_t *model = json_object_get(body, "model");
    const char *name = json_string_value(model);
    if (!name || name[0] == '\0') {
        return refuse(refusal, "model", "model is required");
    }
    if (strcmp(name, "pixverse-v6") != 0) {
        return refuse(refusal, "model",
                      "invalid model: %.60s, allowed: pixverse-v6", name);
    }
    return true;
}

static bool check_switches(struct order *order, const json_t *body,
                           struct refusal *refusal)
{
    bool watermark = false;
    bool clips = false;
    json_int_t seed = 0;
    if (!check_integer(body, "seed", 0, &seed, refusal) ||
        !check_boolean(body, "audio", &order->audio, refusal) ||
        !check_boolean(body, "watermark", &watermark, refusal) ||
        !check_boolean(body, "generate_multi_clip_switch", &clips, refusal)) {
        return false;
    }
    if (seed < 0 || seed > INT32_MAX) {
        return refuse(refusal, "seed",
                      "invalid seed %lld, allowed range: 0-2147483647",
                      (long long)seed);
    }
    if (clips && order->mode != MODE_TEXT && order->mode != MODE_IMAGE) {
        return refuse(refusal, "generate_multi_clip_switch",
                      "generate_multi_clip_switch is only supported by text "
                      "and image to video");
    }
    return true;
}

static void measure(struct order *order, const struct resolution *resolution,
                    const struct size *size)
{
    const uint32_t side = resolution->short_side;
    const bool wide = size->wide >= size->high;
    const uint32_t longer =
        wide ? side * size->wide / size->high : side * size->high / size->wide;
    order->width = (wide ? longer : side) & ~1u;
    order->height = (wide ? side : longer) & ~1u;
    order->cost_micros = resolution->second_micros * order->seconds *
                         (order->audio ? AUDIO_PERCENT : 100) / 100;
}

static bool read_fields(struct order *order, const json_t *body,
                        struct refusal *refusal)
{
    const struct resolution *resolution = NULL;
    const struct size *size = NULL;
    if (!check_model(body, refusal) ||
        !check_text(body, "prompt", true, 5000, refusal) ||
        !check_text(body, "negative_prompt", false, 2048, refusal) ||
        !find_mode(order, body, refusal) ||
        !check_resolution(body, &resolution, refusal) ||
        !check_duration(order, body, refusal) ||
        !check_size(order, body, &size, refusal) ||
        !check_motion(body, refusal) || !check_switches(order, body, refusal)) {
        return false;
    }
    measure(order, resolution, size);
    return true;
}

bool rules_read(struct order *order, struct str body, struct refusal *refusal)
{
    *order = (struct order){0};
    json_error_t error;
    json_t *root = json_loadb(body.at ? body.at : "", body.len, 0, &error);
    if (!json_is_object(root)) {
        json_decref(root);
        return refuse(refusal, NULL, "invalid request body: not a JSON object");
    }
    bool valid = read_fields(order, root, refusal);
    json_decref(root);
    return valid;
}

const char *rules_mode_name(enum mode mode)
{
    static const char *const names[] = {"text_to_video", "image_to_video",
                                        "transition", "fusion", "extend"};
    return names[mode];
}
