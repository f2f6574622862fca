

#include "core/asset.h"
#include "lib/check.h"

#define DEFAULT "{tenant}/{yyyy}/{mm}/{dd}/{request_id}/{index}.mp4"
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char *const templates[] = {
    DEFAULT,
    "{request_id}{index}",
    "{index}{request_id}{tenant}",
    "{tenant}{request_id}{index}",
    "v/{request_id}/{request_id}_{index}.mp4",
    "{yyyy}{mm}{dd}-{tenant}.{request_id}-{index}",
    "{dd}/{index}/{request_id}",
    "a{request_id}a{index}a",
};

TEST_CASE(asset_key_fits__what_we_make__always)
{
    static const char *const ids[] = {"a", "order-1234.clip-1", "0", "2026",
                                      A64 A64};
    static const struct str tenants[] = {
        {NULL, 0}, {"studio-a", 8}, {"1.", 2}, {A64, 64}};
    static const int64_t days_ms[] = {0, 1709164800000, 1795305600123};
    struct arena arena;
    arena_init(&arena, 4096, 0);
    for (size_t t = 0; t < sizeof templates / sizeof *templates; t++) {
        for (size_t i = 0; i < 5 * 4 * 3 * 3; i++) {
            const struct facts facts = {
                .request_id = str_of(ids[i % 5]),
                .tenant = tenants[i / 5 % 4],
                .received_ms = days_ms[i / 20 % 3],
            };
            const int32_t submissions[] = {0, 1, INT32_MAX};
            struct str key = asset_key(templates[t], &facts,
                                       submissions[i / 60], i % 12, &arena);
            if (!asset_key_fits(templates[t], key)) {
                fail_msg("%s: %.*s", templates[t], (int)key.len, key.at);
            }
        }
    }
    arena_done(&arena);
}

TEST_CASE(asset_key_fits__one_row_each)
{
    static const struct {
        const char *key_template;
        const char *key;
        bool fits;
    } rows[] = {
        {DEFAULT, "studio/2026/11/22/clip/0.mp4", true},
        {DEFAULT, "studio/2026/11/22/clip/3/0.mp4", true},
        {DEFAULT, "", false},
        {DEFAULT, "studio/2026/11/22/clip/0.mp", false},
        {DEFAULT, "studio/2026/11/22/clip/0.mp4x", false},
        {DEFAULT, "studio/2026/11/22/clip/00.mp4", false},
        {DEFAULT, "studio/2026/11/22/clip/x.mp4", false},
        {DEFAULT, "studio/2026/11/22/clip/03/0.mp4", false},
        {DEFAULT, "studio/2026/11/22/clip/0/0.mp4", false},
        {DEFAULT, "studio/2026/11/22/clip/x/0.mp4", false},
        {DEFAULT, "studio/2026/11/22//0.mp4", false},
        {DEFAULT, "studio/2026/11/22/cl ip/0.mp4", false},
        {DEFAULT, "studio/2026/11/22/-clip/0.mp4", false},
        {DEFAULT, "studio/2026/11/22/" A64 A64 "a/0.mp4", false},
        {DEFAULT, A64 "a/2026/11/22/clip/0.mp4", false},
        {DEFAULT, "_studio/2026/11/22/clip/0.mp4", false},
        {DEFAULT, "studio/2026/13/22/clip/0.mp4", false},
        {DEFAULT, "studio/2026/00/22/clip/0.mp4", false},
        {DEFAULT, "studio/2026/04/31/clip/0.mp4", false},
        {DEFAULT, "studio/2025/02/29/clip/0.mp4", false},
        {DEFAULT, "studio/2024/02/29/clip/0.mp4", true},
        {DEFAULT, "studio/1969/11/22/clip/0.mp4", false},
        {DEFAULT, "studio/226/11/22/clip/0.mp4", false},
        {DEFAULT, "x/studio/2026/11/22/clip/0.mp4", false},
        {"{request_id}/{request_id}-{index}", "a/a-0", true},
        {"{request_id}/{request_id}-{index}", "a/b-0", false},
        {"{request_id}/{request_id}-{index}", "a/2/a/2-0", true},
        {"{request_id}{index}", "a0", true},
        {"{request_id}{index}", "0", false},
        {"{request_id}.{index}.mp4", "backup.tar.gz", false},
        {"{request_id}.{index}.mp4", "a.b.7.mp4", true},
        {"{dd}/{request_id}{index}", "32/a0", false},
        {"{mm}{dd}/{request_id}{index}", "0229/a0", true},
        {"{other}/{request_id}{index}", "{other}/a0", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (asset_key_fits(rows[i].key_template, str_of(rows[i].key)) !=
            rows[i].fits) {
            fail_msg("%s: %s", rows[i].key_template, rows[i].key);
        }
    }
}

TEST_CASE(asset_key_request__one_row_each)
{
    static const struct {
        const char *key_template;
        const char *key;
        const char *id; /* "": it doesn't fit */
    } rows[] = {
        {DEFAULT, "studio/2026/11/22/clip/0.mp4", "clip"},
        {DEFAULT, "studio/2026/11/22/clip/3/0.mp4", "clip"},
        {DEFAULT, "studio/2026/11/22/clip/0.txt", ""},
        {DEFAULT, "", ""},
        {"{request_id}/{request_id}-{index}", "a/2/a/2-0", "a"},
        {"{request_id}.{index}.mp4", "a.b.7.mp4", "a.b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct str id =
            asset_key_request(rows[i].key_template, str_of(rows[i].key));
        if (!str_eq(id.at ? id : STR(""), str_of(rows[i].id))) {
            fail_msg("%s: %.*s", rows[i].key, (int)id.len, id.at);
        }
    }
}

TESTS_RUN(NULL, NULL)
