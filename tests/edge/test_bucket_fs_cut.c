/* The power is cut while videos are stored: what was said to be durable is
 * there, and what has a name is whole (tests/lib/power_cut.py). */
#include "core/digest.h"
#include "edge/bucket.h"
#include "edge/bucket/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/check.h"

#define VIDEOS 48
#define AT_ONCE 4
#define SEED "7"

struct cut {
    pid_t pid;
    int in;
    FILE *said;
    char folder[64];
    int mark; /* a file: what is written there stands among the disk's writes */
    struct loop *loop;
    struct bucket *bucket;
    struct loop_timer *limit;
    int begun;
    int ended;
};

struct video {
    struct cut *cut;
    char key[64];
    char *bytes;
};

static void on_limit(void *context)
{
    (void)context;
    fail_msg("videos are not stored within the limit");
}

static char base[] = "/tmp/power-cut-XXXXXX"; /* all is below it */

static void start(struct cut *cut, const char *kind, const char *cuts)
{
    int in[2];
    int out[2];
    char line[200];
    char path[200];
    struct err err = {0};
    *cut = (struct cut){.loop = loop_open(&err)};
    cut->limit = loop_timer_new(cut->loop, on_limit, NULL);
    snprintf(cut->folder, sizeof cut->folder, "%s/XXXXXX", base);
    assert_non_null(mkdtemp(cut->folder));
    snprintf(path, sizeof path, "%s/tests/lib/power_cut.py",
             getenv("TEST_ROOT"));
    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    cut->pid = fork();
    if (cut->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execlp("python3", "python3", path, cut->folder, kind, cuts, SEED,
               (char *)NULL);
        _exit(1);
    }
    close(in[0]);
    close(out[1]);
    cut->in = in[1];
    cut->said = fdopen(out[0], "r");
    assert_non_null(fgets(line, sizeof line, cut->said));
    assert_string_equal(line, "ready\n");
    snprintf(path, sizeof path, "%s/disk/mark", cut->folder);
    cut->mark = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(cut->mark >= 0);
    snprintf(path, sizeof path, "file://%s/there", cut->folder);
    cut->bucket =
        bucket_open(cut->loop, str_of(path), AT_ONCE, 1 << 28, NULL, &err);
    assert_non_null(cut->bucket);
}

/** @return  How many faults there were; they are printed. */
static int stop(struct cut *cut, int *names)
{
    char line[500];
    char command[100];
    int cuts = 0;
    int faults = -1;
    bucket_close(cut->bucket);
    loop_timer_free(cut->limit);
    loop_close(cut->loop);
    close(cut->mark);
    close(cut->in);
    while (fgets(line, sizeof line, cut->said)) {
        print_message("%s", line);
        (void)sscanf(line, "%d cuts, %d names, %d faults", &cuts, names,
                     &faults);
    }
    fclose(cut->said);
    waitpid(cut->pid, NULL, 0);
    assert_true(cuts > 0 || faults == 0);
    snprintf(command, sizeof command, "rm -rf --one-file-system '%s'",
             cut->folder);
    assert_int_equal(system(command), 0);
    return faults;
}

static void mark(const struct cut *cut, const char *word, const char *key,
                 const char *sum)
{
    char text[200];
    const int len = snprintf(text, sizeof text, "%s %s %s\n", word, key, sum);
    /* Always at the start: one piece, whatever came before. */
    assert_int_equal(pwrite(cut->mark, text, (size_t)len, 0), len);
}

static void begin_next(struct cut *cut);

static void on_end(void *context, const struct bucket_result *result)
{
    struct video *video = context;
    struct cut *cut = video->cut;
    if (result->end != BUCKET_DONE) {
        fail_msg("%s: %s", video->key, result->why);
    }
    mark(cut, "durable", video->key, "");
    free(video->bytes);
    free(video);
    if (++cut->ended == VIDEOS) {
        loop_stop(cut->loop);
    }
    begin_next(cut);
}

static void on_ready(void *context)
{
    (void)context; /* it was all given at once */
}

/** Small ones of one write, some of several, some past the page cache; folders
 * that are new and folders that aren't. */
static void begin_next(struct cut *cut)
{
    static const size_t sizes[] = {65536, 5000, 300001, 65536, 1200003};
    const int n = cut->begun;
    if (n == VIDEOS) {
        return;
    }
    cut->begun++;
    struct err err = {0};
    unsigned char sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    const size_t len = sizes[n % 5];
    struct video *video = calloc(1, sizeof *video);
    *video = (struct video){.cut = cut, .bytes = malloc(len)};
    snprintf(video->key, sizeof video->key, "t/2026/%02d/r%d/0.mp4", n / 12,
             n % 3 ? n : n / 6);
    if (n % 3 == 0) { /* beside others of the same request */
        snprintf(video->key, sizeof video->key, "t/2026/%02d/shared/%d.mp4",
                 n / 24, n);
    }
    for (size_t i = 0; i < len; i++) {
        video->bytes[i] = (char)(i * 7 + i / 1000 + (size_t)n);
    }
    digest_of((struct str){video->bytes, len}, sum);
    str_hex(sum, sizeof sum, hex);
    mark(cut, "begins", video->key, hex);
    bucket_expect(cut->bucket, str_of(video->key));
    struct put *put = bucket_put(cut->bucket, str_of(video->key),
                                 n % 7 == 3 ? -1 : (int64_t)len, on_ready,
                                 on_end, video, &err);
    assert_non_null(put);
    (void)put_write(put, video->bytes, len);
    put_finish(put, hex);
}

static void on_probed(void *context, const struct bucket_result *result)
{
    struct cut *cut = context;
    (void)result; /* so small a disk is nearly full */
    loop_stop(cut->loop);
}

/** @param probed  So a file needs no name where the journal orders all. */
static void store_and_cut(const char *kind, bool ordered, bool probed,
                          const char *cuts)
{
    struct cut cut;
    int names = 0;
    start(&cut, kind, cuts);
    loop_timer_set(cut.limit, 60000);
    if (probed) {
        bucket_probe(cut.bucket, on_probed, &cut);
        loop_run(cut.loop);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        begin_next(&cut);
    }
    loop_run(cut.loop);
    assert_int_equal(cut.ended, VIDEOS);
    const struct fs *fs = (const struct fs *)(const void *)cut.bucket;
    assert_true(fs->kept.judged);
    assert_int_equal(fs->kept.ordered, ordered);
    assert_int_equal(fs->nameless, ordered && probed);
    assert_int_equal(stop(&cut, &names), 0);
    assert_true(names > 0 || !ordered);
}

static const char *cuts(void)
{
    const char *said = getenv("CUTS");
    return said && said[0] ? said : "60";
}

TEST_CASE(put__power_is_cut__on_ext4__durable_is_there_and_named_is_whole)
{
    store_and_cut("ext4", true, true, cuts());
}

TEST_CASE(put__power_is_cut__on_xfs__durable_is_there_and_named_is_whole)
{
    store_and_cut("xfs", true, true, cuts());
}

TEST_CASE(put__power_is_cut__named_from_the_start__is_there_and_whole)
{
    store_and_cut("ext4", true, false, cuts());
    store_and_cut("xfs", true, false, cuts());
}

/** Nothing orders names and bytes there: they are made durable one by one. */
TEST_CASE(put__ext4_without_a_journal__is_no_order)
{
    store_and_cut("bare", false, true, "0");
    store_and_cut("bare", false, false, "0");
}

/** All that is mounted ends with this process. In a chroot "/" is no mount that
 * could be private, but a folder of our own can be made one. */
static bool own_mounts(void)
{
    return unshare(CLONE_NEWNS) == 0 &&
           (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 ||
            errno == EINVAL) &&
           mount(base, base, NULL, MS_BIND, NULL) == 0 &&
           mount(NULL, base, NULL, MS_PRIVATE, NULL) == 0;
}

int main(void)
{
    if (!mkdtemp(base) || !own_mounts()) {
        perror("this test needs to be root");
        (void)rmdir(base);
        return 1;
    }
    const int result = TESTS_RESULT(NULL, NULL);
    (void)umount2(base, MNT_DETACH);
    (void)rmdir(base);
    return result;
}
