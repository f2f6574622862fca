/* tests/run: long */
#include "fuzz.h"

#include "base/settings.h"

/* An environment, a line a name. Whatever it holds, faults are whole lines,
 * and no secret is in them. */

#define NAMES_MAX 64

static bool names_file(struct str line)
{
    const char *equals = memchr(line.at, '=', line.len);
    size_t len = equals ? (size_t)(equals - line.at) : line.len;
    return len >= 5 && memcmp(line.at + len - 5, "_FILE", 5) == 0;
}

/** Whether only the secret setting has it: what others say is told. */
static bool is_secret(const char *const *env, const char *value)
{
    int times = 0;
    for (size_t i = 0; env[i]; i++) {
        times += strstr(env[i], value) != NULL;
    }
    return times == 1 && strlen(value) >= 12;
}

static void check_lines(const struct buf *lines, const char *secret)
{
    if (!lines->len) {
        return;
    }
    CHECK(lines->bytes[lines->len - 1] == '\n');
    CHECK(!secret || !strstr(lines->bytes, secret));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    const char *env[NAMES_MAX + 1] = {0};
    const char *secret = NULL;
    struct arena arena;
    arena_init(&arena, 4096, 0);
    for (size_t n = 0; n < NAMES_MAX && input.len > 0;) {
        struct str line = input_until(&input, '\n');
        if (names_file(line)) {
            continue; /* a file of this machine is no input */
        }
        env[n] = arena_copy(&arena, line.at, line.len);
        if (strncmp(env[n], "APIMART_API_KEY=", 16) == 0 && !secret) {
            secret = env[n] + 16;
        }
        n++;
    }
    if (secret && !is_secret(env, secret)) {
        secret = NULL;
    }
    struct settings settings;
    struct buf faults;
    struct buf warnings;
    buf_init(&faults, 0);
    buf_init(&warnings, 0);
    bool good =
        settings_read(&settings, env, SETTINGS_NEED_KEY, &faults, &warnings);
    CHECK(good == (faults.len == 0));
    if (good) {
        CHECK(settings.poll_interval_ms >= 10 && settings.tasks_max >= 1);
        CHECK(settings.kafka_brokers && settings.storage_url);
    }
    check_lines(&faults, secret);
    check_lines(&warnings, secret);
    settings_done(&settings);
    buf_done(&faults);
    buf_done(&warnings);
    arena_done(&arena);
    return 0;
}
