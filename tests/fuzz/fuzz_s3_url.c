/* tests/run: long */
#include "fuzz.h"

#include "base/settings_check.h"
#include "core/s3_url.h"

/* STORAGE_URL, and where it leads. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct s3_url url;
    struct s3_place place;
    struct str text = {(const char *)data, size};
    if (size == 0 || memchr(data, 0, size) ||
        setting_check(FORM_STORAGE, text).fault) {
        return 0; /* settings have judged it */
    }
    arena_init(&arena, 4096, 0);
    if (s3_url_read(text, &arena, &url)) {
        CHECK(url.bucket.len > 0);
        CHECK(url.prefix.len == 0 ||
              (url.prefix.at[0] != '/' &&
               url.prefix.at[url.prefix.len - 1] != '/'));
        CHECK(url.name.len <= S3_NAME_BYTES_MAX);
        if (s3_url_place(&url, "eu-central-1", &arena, &place)) {
            CHECK(str_starts(place.base, STR("http")));
            CHECK(place.host.len > 0);
            CHECK(place.root.len == 0 || place.root.at[0] == '/');
        }
    }
    arena_done(&arena);
    return 0;
}
