#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEY_FILE_BYTES_MAX 4096

static struct accounts accounts;
static struct arena memory;

/** One of accounts_reading.read_file. */
static const char *read_key_file(const char *path, struct arena *arena,
                                 const char **why)
{
    char bytes[KEY_FILE_BYTES_MAX + 1] = "";
    FILE *file = fopen(path, "re");
    if (!file) {
        *why = strerror(errno);
        return NULL;
    }
    const char *text = NULL;
    size_t len = fread(bytes, 1, KEY_FILE_BYTES_MAX, file);
    if (ferror(file)) {
        *why = strerror(errno);
    } else if (fgetc(file) != EOF) {
        *why = "longer than 4096 bytes";
    } else if (memchr(bytes, '\0', len)) {
        *why = "holds a NUL byte";
    } else {
        len -= len && bytes[len - 1] == '\n';
        len -= len && bytes[len - 1] == '\r';
        text = arena_copy(arena, bytes, len);
        *why = "no memory";
    }
    fclose(file);
    explicit_bzero(bytes, sizeof bytes);
    return text;
}

/** What is learnt stays between the two. */
static bool judge_generations(const struct settings *s, struct buf *faults)
{
    const long long least = s->generations_min;
    if (least && *s->apimart_accounts) {
        buf_printf(faults,
                   "GENERATIONS_MIN: value %lld beside APIMART_ACCOUNTS, "
                   "allowed: 0, and slots_min of each account\n",
                   least);
    } else if (least > s->generations_max) {
        buf_printf(faults,
                   "GENERATIONS_MIN: value %lld is more than GENERATIONS_MAX "
                   "(%lld%s), allowed: 0, or 1..GENERATIONS_MAX\n",
                   least, (long long)s->generations_max,
                   s->generations_max ? "" : ": no limit");
    } else {
        return true;
    }
    return false;
}

bool accounts_read(const struct settings *settings, struct buf *faults,
                   struct buf *warnings)
{
    const struct str json = str_of(settings->apimart_accounts);
    const bool fine = judge_generations(settings, faults);
    arena_init(&memory, 4096, 0);
    if (!json.len) {
        accounts_one(str_of(settings->apimart_base_url),
                     str_of(settings->apimart_api_key), &accounts);
        if (fine && settings->generations_min > 0) {
            accounts_learn(&accounts, (int)settings->generations_min,
                           (int)settings->generations_max);
        }
        return fine;
    }
    const struct accounts_reading reading = {
        .json = json,
        .base_url = str_of(settings->apimart_base_url),
        .read_file = read_key_file,
        .secret = settings->accounts_from_file,
        .arena = &memory,
        .faults = faults,
        .warnings = warnings,
    };
    return accounts_parse(&reading, &accounts) && fine;
}

const struct accounts *configured_accounts(void)
{
    return &accounts;
}

void accounts_forget(void)
{
    for (size_t i = 0; i < accounts.len; i++) {
        for (size_t k = 0; k < accounts.at[i].keys_len; k++) {
            const struct str key = accounts.at[i].keys[k].key;
            explicit_bzero((void *)(uintptr_t)key.at, key.len);
        }
    }
    accounts = (struct accounts){0};
    arena_done(&memory);
}
