/* wraps: malloc calloc realloc strdup strndup fopen */
/** Each allocation of each way to S3, refused once; of long ways the first ones
 * and then every so many. PLACES=all refuses every one: that takes a minute. */

#include "s3_strict.h"

#include "edge/s3/call.h"

#include <errno.h>

/* Only the room's and its rooms' own: libcurl is another library. */
static struct {
    int left; /* until one is refused; 0: none is */
    bool hit;
} order;

static bool refused(void)
{
    if (order.left == 0 || --order.left > 0) {
        return false;
    }
    order.hit = true;
    return true;
}

#define REFUSABLE(type, name, parameters, arguments)                           \
    type __real_##name parameters;                                             \
    type __wrap_##name parameters;                                             \
    type __wrap_##name parameters                                              \
    {                                                                          \
        return refused() ? NULL : __real_##name arguments;                     \
    }

REFUSABLE(void *, malloc, (size_t bytes), (bytes))
REFUSABLE(void *, calloc, (size_t n, size_t bytes), (n, bytes))
REFUSABLE(void *, realloc, (void *at, size_t bytes), (at, bytes))
REFUSABLE(char *, strdup, (const char *text), (text))
REFUSABLE(char *, strndup, (const char *text, size_t len), (text, len))

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (refused()) {
        errno = ENOMEM;
        return NULL;
    }
    return __real_fopen(path, mode);
}

#define PLACES_MAX 2000
#define KNOWN_BYTES ((size_t)150000)
#define PARTS_BYTES (9 * MIB)
#define TEMPLATE "{tenant}/{yyyy}/{mm}/{dd}/{request_id}/{index}.mp4"
#define KEPT "default/2026/11/22/kept/0.mp4"

struct way {
    const char *name;
    /** With the n-th refused, in *result if it began. False: it didn't. */
    bool (*go)(struct trial *trial, int n, struct answer *answer);
    size_t len; /* of what it puts; 0: nothing */
    bool known;
    int places_min; /* so many at least are refused */
};

static char *video; /* of the way */

static void key_of(const struct way *way, int n, char out[static 64])
{
    snprintf(out, 64, "%s/%d.mp4", way->name, n);
}

static bool is_refused_once(struct trial *trial, const struct way *way, int n,
                            enum bucket_end *end)
{
    struct answer answer = {.trial = trial, .result.end = BUCKET_FAILED};
    order.hit = false;
    order.left = n;
    if (way->go(trial, n, &answer)) {
        wait_for(trial, &answer);
    }
    order.left = 0;
    *end = answer.result.end;
    if (*end == BUCKET_UNUSABLE) {
        print_message("%s, %d: %s\n", way->name, n, answer.result.why);
    }
    return order.hit;
}

/* ---- the ways ---- */

static struct feeding feeding;

static struct answer *fed; /* whose */

static void on_way_fed(void *context, const struct bucket_result *result)
{
    (void)context;
    feeding.put = NULL;
    on_result(fed, result);
}

static bool put(struct trial *trial, const struct way *way, int n,
                struct answer *answer)
{
    char key[64];
    char hash[65];
    struct err err = {0};
    key_of(way, n, key);
    hash_of(video, way->len, hash);
    fed = answer;
    feeding = (struct feeding){.bytes = video,
                               .len = way->len,
                               .piece = 100000,
                               .stop = SIZE_MAX,
                               .sha256 = hash};
    feeding.put = bucket_put(trial->bucket, str_of(key),
                             way->known ? (int64_t)way->len : -1, feed,
                             on_way_fed, &feeding, &err);
    if (!feeding.put) {
        assert_int_equal(err.kind, ERR_TRANSIENT);
        return false;
    }
    feed(&feeding);
    wait_for(trial, answer);
    answer->came = true; /* the hash ends with this function */
    return true;
}

static const struct way known;
static const struct way small;
static const struct way parts;

static bool put_known(struct trial *trial, int n, struct answer *answer)
{
    return put(trial, &known, n, answer);
}

static bool put_small(struct trial *trial, int n, struct answer *answer)
{
    return put(trial, &small, n, answer);
}

static bool put_parts(struct trial *trial, int n, struct answer *answer)
{
    return put(trial, &parts, n, answer);
}

static bool probe_it(struct trial *trial, int n, struct answer *answer)
{
    (void)n;
    bucket_probe(trial->bucket, on_result, answer);
    return true;
}

static bool check_it(struct trial *trial, int n, struct answer *answer)
{
    (void)n;
    bucket_check(trial->bucket, STR(KEPT), on_result, answer);
    return true;
}

static bool forget_it(struct trial *trial, int n, struct answer *answer)
{
    (void)n;
    return bucket_forget(trial->bucket, STR(KEPT), on_result, answer);
}

/** Nobody awaits a sweep; a check behind it goes when it has begun. */
static bool sweep_it(struct trial *trial, int n, struct answer *answer)
{
    (void)n;
    bucket_sweep(trial->bucket, TEMPLATE, 3600000);
    for (int i = 0; i < 4; i++) {
        bucket_check(trial->bucket, STR(KEPT), on_result, answer);
        wait_for(trial, answer);
    }
    answer->came = true;
    return true;
}

static const struct way known = {"known", put_known, KNOWN_BYTES, true, 15};
static const struct way small = {"small", put_small, KNOWN_BYTES, false, 15};
static const struct way parts = {"parts", put_parts, PARTS_BYTES, false, 50};
static const struct way probing = {"probe", probe_it, 0, false, 150};
static const struct way checking = {"check", check_it, 0, false, 10};
static const struct way forgetting = {"forget", forget_it, 0, false, 20};
static const struct way sweeping = {"sweep", sweep_it, 0, false, 30};

/* ---- what must not come of it ---- */

/** A half request must not have been sent: the store would have refused it, or
 * done what nobody wanted. */
static void assert_nothing_half(const struct strict *strict)
{
    const char *log = ask(strict, "log", "");
    if (strstr(log, " 400 ") || strstr(log, " 403 ") || strstr(log, " 501 ")) {
        fail_msg("sent: %.1000s", log);
    }
    ask(strict, "forget", "");
}

/** What was put is there or isn't; a second time it comes to be there. */
static void assert_heals(struct trial *trial, const struct way *way, int n)
{
    char key[64];
    key_of(way, n, key);
    struct bucket_result again =
        put_whole(trial, key, video, way->len, way->known);
    assert_true(again.end == BUCKET_DONE || again.end == BUCKET_EXISTS);
    assert_stored(trial, key, video, way->len);
}

static void refuse_each(const struct way *way)
{
    struct strict strict;
    struct trial trial;
    enum bucket_end end_of = BUCKET_FAILED;
    char *kept = video_of(1000);
    char place[150];
    int n = 1;
    strict_start(&strict, "", "");
    begin_strict(&trial, &strict, "", "");
    struct bucket_result stored = put_whole(&trial, KEPT, kept, 1000, true);
    assert_end(&stored, BUCKET_DONE);
    video = way->len ? video_of(way->len) : NULL;
    snprintf(place, sizeof place, "%s/" KEPT, trial.prefix);
    const int every = getenv("PLACES") ? PLACES_MAX : 8;
    for (bool hit = true; hit && n < PLACES_MAX; n += 1 + n / every) {
        ask(&strict, "upload", place);
        hit = is_refused_once(&trial, way, n, &end_of);
        assert_int_not_equal(end_of, BUCKET_UNUSABLE);
        assert_nothing_half(&strict);
        assert_stored(&trial, KEPT, kept, 1000);
        if (way->len && hit) {
            assert_heals(&trial, way, n);
        }
    }
    assert_true(end_of == BUCKET_DONE || end_of == BUCKET_EXISTS);
    assert_in_range(n, way->places_min, PLACES_MAX - 1);
    end(&trial);
    strict_stop(&strict);
    free(kept);
    free(video);
}

TEST_CASE(put__known_length_and_each_allocation_refused__heals)
{
    refuse_each(&known);
}

TEST_CASE(put__small_and_each_allocation_refused__heals)
{
    refuse_each(&small);
}

TEST_CASE(put__in_parts_and_each_allocation_refused__heals)
{
    refuse_each(&parts);
}

TEST_CASE(probe__each_allocation_refused__says_nothing_of_the_store)
{
    refuse_each(&probing);
}

TEST_CASE(check__each_allocation_refused__says_nothing_of_the_store)
{
    refuse_each(&checking);
}

TEST_CASE(forget__each_allocation_refused__takes_no_video)
{
    refuse_each(&forgetting);
}

TEST_CASE(sweep__each_allocation_refused__takes_no_video)
{
    refuse_each(&sweeping);
}

/** A wrong region would be kept for the life of the process. */
TEST_CASE(bucket_open__each_allocation_refused__no_value_is_guessed)
{
    const struct str url =
        STR("s3://videos/p?endpoint=http://127.0.0.1:1/x&ca=/the/ca.pem");
    char path[] = "/tmp/s3_config.XXXXXX";
    const int fd = mkstemp(path);
    static const char config[] = "[default]\nregion = eu-9\n";
    assert_int_equal(write(fd, config, strlen(config)), strlen(config));
    close(fd);
    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    unsetenv("AWS_PROFILE");
    setenv("AWS_CONFIG_FILE", path, 1);
    struct err err = {0};
    struct loop *loop = loop_open(&err);
    int refusals = 0;
    for (order.hit = true; order.hit; refusals++) {
        order.hit = false;
        order.left = refusals + 1;
        err = (struct err){0};
        struct bucket *bucket = bucket_open(loop, url, 8, MIB, NULL, &err);
        order.left = 0;
        if (!bucket) {
            assert_int_equal(err.kind, ERR_TRANSIENT);
            assert_true(order.hit);
            continue;
        }
        const struct s3 *s3 = (const struct s3 *)(const void *)bucket;
        assert_string_equal(s3->region, "eu-9");
        assert_string_equal(s3->ca_file, "/the/ca.pem");
        assert_string_equal(bucket_name(bucket),
                            "s3://videos/p?endpoint=http://127.0.0.1:1/x");
        bucket_close(bucket);
    }
    assert_in_range(refusals, 8, PLACES_MAX);
    unlink(path);
    setenv("AWS_CONFIG_FILE", "/", 1); /* there, and no file */
    assert_null(bucket_open(loop, url, 8, MIB, NULL, &err));
    assert_non_null(strstr(err.text, "S3's region"));
    setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    struct bucket *bucket = bucket_open(loop, url, 8, MIB, NULL, &err);
    assert_non_null(bucket);
    bucket_close(bucket);
    loop_close(loop);
}

TESTS_RUN(NULL, NULL)
