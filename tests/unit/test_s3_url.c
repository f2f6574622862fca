#include "core/s3_url.h"

#include <stdio.h>

#include "lib/check.h"

static struct s3_url read_url(struct arena *arena, const char *text)
{
    struct s3_url url;
    arena_init(arena, 1024, 0);
    assert_true(s3_url_read(str_of(text), arena, &url));
    return url;
}

TEST_CASE(s3_url_read__bucket_alone__defaults)
{
    struct arena arena;
    struct s3_url url = read_url(&arena, "s3://videos");
    assert_true(str_eq(url.bucket, STR("videos")));
    assert_int_equal(url.prefix.len, 0);
    assert_true(url.checksum);
    assert_false(url.path_style_said);
    assert_null(url.endpoint);
    assert_null(url.region);
    assert_null(url.tags);
    assert_true(str_eq(url.name, STR("s3://videos")));
    arena_done(&arena);
}

TEST_CASE(s3_url_read__all_options__each_in_its_field)
{
    struct arena arena;
    struct s3_url url = read_url(
        &arena, "s3://videos/a/b/?endpoint=https://s3.example:9000/&region=eu-1"
                "&path_style=1&sse=aws:kms&sse_kms_key_id=key-1"
                "&storage_class=STANDARD_IA&tags=team%3Dfilm%26env%3Dprod"
                "&owner=123456789012&ca=/etc/ca.pem&checksum=0");
    assert_true(str_eq(url.prefix, STR("a/b")));
    assert_string_equal(url.endpoint, "https://s3.example:9000");
    assert_string_equal(url.region, "eu-1");
    assert_true(url.path_style && url.path_style_said);
    assert_string_equal(url.sse, "aws:kms");
    assert_string_equal(url.sse_kms_key_id, "key-1");
    assert_string_equal(url.storage_class, "STANDARD_IA");
    assert_string_equal(url.tags, "team=film&env=prod");
    assert_string_equal(url.owner, "123456789012");
    assert_string_equal(url.ca, "/etc/ca.pem");
    assert_false(url.checksum);
    assert_true(str_eq(
        url.name, STR("s3://videos/a/b?endpoint=https://s3.example:9000")));
    arena_done(&arena);
}

TEST_CASE(s3_url_read__slashes_around_a_prefix__go_however_written)
{
    static const char *const texts[] = {
        "s3://videos/a/b",         "s3://videos//a/b//",
        "s3://videos/a%2Fb%2F",    "s3://videos/%2Fa/b/",
        "s3://videos/%2F/a/b/%2f",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct arena arena;
        struct s3_url url = read_url(&arena, texts[i]);
        assert_true(str_eq(url.prefix, STR("a/b")));
        assert_true(str_eq(url.name, STR("s3://videos/a/b")));
        arena_done(&arena);
    }
}

TEST_CASE(s3_url_read__tags_with_equals__cut_at_the_first)
{
    struct arena arena;
    struct s3_url url = read_url(&arena, "s3://videos?tags=team=film");
    assert_string_equal(url.tags, "team=film");
    arena_done(&arena);
}

TEST_CASE(s3_url_read__long_names__cut_and_told_apart)
{
    char one[300];
    char other[300];
    memset(one, 'x', sizeof one);
    memcpy(one, "s3://videos/", 12);
    one[299] = '\0';
    memcpy(other, one, sizeof one);
    other[298] = 'y';
    struct arena arena;
    struct arena arena_2;
    struct s3_url url = read_url(&arena, one);
    struct s3_url url_2 = read_url(&arena_2, other);
    assert_int_equal(url.name.len, S3_NAME_BYTES_MAX);
    assert_int_equal(url_2.name.len, S3_NAME_BYTES_MAX);
    assert_false(str_eq(url.name, url_2.name));
    arena_done(&arena);
    arena_done(&arena_2);
}

TEST_CASE(s3_url_read__other_scheme__no)
{
    struct arena arena;
    struct s3_url url;
    arena_init(&arena, 1024, 0);
    assert_false(s3_url_read(STR("file:///x"), &arena, &url));
    assert_false(s3_url_read(STR("s3://"), &arena, &url));
    arena_done(&arena);
}

TEST_CASE(s3_url_place__one_row_each__host_and_root)
{
    static const struct {
        const char *url;
        const char *region;
        const char *base;
        const char *host;
        const char *root;
    } rows[] = {
        {"s3://videos", "eu-central-1",
         "https://videos.s3.eu-central-1.amazonaws.com",
         "videos.s3.eu-central-1.amazonaws.com", ""},
        {"s3://videos", "cn-north-1",
         "https://videos.s3.cn-north-1.amazonaws.com.cn",
         "videos.s3.cn-north-1.amazonaws.com.cn", ""},
        {"s3://my.videos", "us-east-1", "https://s3.us-east-1.amazonaws.com",
         "s3.us-east-1.amazonaws.com", "/my.videos"},
        {"s3://videos?path_style=1", "us-east-1",
         "https://s3.us-east-1.amazonaws.com", "s3.us-east-1.amazonaws.com",
         "/videos"},
        {"s3://videos?endpoint=https://store.example", "r",
         "https://videos.store.example", "videos.store.example", ""},
        {"s3://videos?endpoint=https://store.example:9000/&path_style=1", "r",
         "https://store.example:9000", "store.example:9000", "/videos"},
        {"s3://videos?endpoint=http://127.0.0.1:7070", "r",
         "http://127.0.0.1:7070", "127.0.0.1:7070", "/videos"},
        {"s3://videos?endpoint=http://[::1]:7070", "r", "http://[::1]:7070",
         "[::1]:7070", "/videos"},
        {"s3://videos?endpoint=http://localhost:7070", "r",
         "http://localhost:7070", "localhost:7070", "/videos"},
        {"s3://videos?endpoint=http://minio:9000", "r", "http://minio:9000",
         "minio:9000", "/videos"},
        {"s3://videos?endpoint=http://minio:9000&path_style=0", "r",
         "http://videos.minio:9000", "videos.minio:9000", ""},
        {"s3://videos?endpoint=http://minio.svc", "r",
         "http://videos.minio.svc", "videos.minio.svc", ""},
        {"s3://videos", "us-isob-east-1",
         "https://videos.s3.us-isob-east-1.sc2s.sgov.gov",
         "videos.s3.us-isob-east-1.sc2s.sgov.gov", ""},
        {"s3://videos?endpoint=http://10.0.0.1&path_style=0", "r",
         "http://videos.10.0.0.1", "videos.10.0.0.1", ""},
        {"s3://videos?endpoint=https://x.example.co/storage/v1/s3", "r",
         "https://x.example.co", "x.example.co", "/storage/v1/s3/videos"},
        {"s3://videos?endpoint=https://x.example.co:1/s3//", "r",
         "https://x.example.co:1", "x.example.co:1", "/s3/videos"},
        {"s3://videos?endpoint=https://x.example.co/a&path_style=0", "r",
         "https://videos.x.example.co", "videos.x.example.co", "/a"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena arena;
        struct s3_url url = read_url(&arena, rows[i].url);
        struct s3_place place;
        assert_true(s3_url_place(&url, rows[i].region, &arena, &place));
        assert_true(str_eq(place.base, str_of(rows[i].base)));
        assert_true(str_eq(place.host, str_of(rows[i].host)));
        assert_true(str_eq(place.root, str_of(rows[i].root)));
        arena_done(&arena);
    }
}

/** Holds are scoped by the name: one store has the same, however its endpoint
 * was said. */
TEST_CASE(s3_url_endpoint__of_the_environment__is_as_the_urls)
{
    struct arena arena;
    struct arena other;
    struct s3_url url = read_url(&arena, "s3://videos/p?acl=private");
    struct s3_url same = read_url(
        &other, "s3://videos/p?acl=private&endpoint=http://minio:9000");
    assert_string_equal(url.acl, "private");
    assert_true(s3_url_endpoint(&url, STR("http://minio:9000//"), &arena));
    assert_string_equal(url.endpoint, "http://minio:9000");
    assert_true(str_eq(url.name, same.name));
    arena_done(&arena);
    arena_done(&other);
}

TESTS_RUN(NULL, NULL)
