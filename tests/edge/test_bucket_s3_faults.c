/* wraps: loop_boot_ms */
#include "edge/s3_faulty.h"
#include "edge/s3_trial.h"

static int64_t ahead_ms; /* of the loop's clock */

int64_t __real_loop_boot_ms(const struct loop *loop);
int64_t __wrap_loop_boot_ms(const struct loop *loop);
int64_t __wrap_loop_boot_ms(const struct loop *loop)
{
    return __real_loop_boot_ms(loop) + ahead_ms;
}

#define ERROR(code) "<Error><Code>" code "</Code><Message>m</Message></Error>"
#define STEPS(array) array, (int)(sizeof(array) / sizeof *(array))

/** A trial against an S3 of these steps. */
static struct faulty *begin_faulty(struct trial *trial,
                                   const struct faulty_step *steps, int len)
{
    struct faulty *faulty = faulty_start(steps, len);
    begin_with(trial, faulty->url, "videos", "&region=eu-1");
    return faulty;
}

/** All steps were taken, and nothing else was asked. */
static void end_faulty(struct trial *trial, struct faulty *faulty)
{
    end(trial);
    faulty_stop(faulty);
    assert_string_equal(faulty->unexpected, "");
    assert_int_equal(faulty->done, faulty->len);
    free(faulty);
}

/** Puts a small video of known length. */
static struct bucket_result put_small(struct trial *trial)
{
    char *bytes = video_of(100000);
    struct bucket_result result =
        put_whole(trial, "a.mp4", bytes, 100000, true);
    free(bytes);
    return result;
}

/* ---- one PUT ---- */

static void on_room(void *context)
{
    (void)context;
}

#define WITH_KEYS(test) TEST_CASE_WITH(test, static_keys, NULL)

/** So many of 8 begin at once, and no more. */
static void begins(struct trial *trial, size_t n)
{
    struct answer answers[8];
    struct put *puts[8];
    struct err err = {0};
    for (size_t i = 0; i < n; i++) {
        answers[i] = (struct answer){.trial = trial};
        puts[i] = bucket_put(trial->bucket, STR("a.mp4"), -1, on_room,
                             on_result, &answers[i], &err);
        assert_non_null(puts[i]);
    }
    if (n < 8) {
        assert_null(bucket_put(trial->bucket, STR("a.mp4"), -1, on_room,
                               on_result, &answers[0], &err));
        assert_int_equal(err.kind, ERR_TRANSIENT);
    }
    for (size_t i = 0; i < n; i++) {
        put_cancel(puts[i]);
        wait_for(trial, &answers[i]);
        assert_end(&answers[i].result, BUCKET_CANCELLED);
    }
}

/** And all of it again, also by videos whose length nobody tells. */
WITH_KEYS(put__slow_down__failed_and_half_the_pace)
{
    const struct faulty_step well = {"PUT /videos/p-", FAULTY_ANSWER, 200, NULL,
                                     NULL};
    const struct faulty_step steps[] = {
        {"PUT /videos/p-", FAULTY_ANSWER, 503, NULL, ERROR("SlowDown")},
        well,
        well,
        well,
        well};
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    struct bucket_result result = put_small(&trial);
    assert_end(&result, BUCKET_FAILED);
    assert_non_null(strstr(result.why, "SlowDown"));
    begins(&trial, 4);
    char *bytes = video_of(100000);
    for (int i = 0; i < 4; i++) {
        result = put_whole(&trial, "a.mp4", bytes, 100000, false);
        assert_end(&result, BUCKET_DONE);
    }
    free(bytes);
    begins(&trial, 8);
    end_faulty(&trial, faulty);
}

WITH_KEYS(put__lost_reply__found_or_failed)
{
    const struct faulty_step there[] = {
        {"PUT /videos/p-", FAULTY_LOSE, 0, NULL, NULL},
        {"HEAD /videos/p-", FAULTY_ANSWER, 200, NULL, NULL}};
    const struct faulty_step not_there[] = {
        {"PUT /videos/p-", FAULTY_LOSE, 0, NULL, NULL},
        {"HEAD /videos/p-", FAULTY_ANSWER, 404, NULL, NULL}};
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(there));
    struct bucket_result result = put_small(&trial);
    assert_end(&result, BUCKET_EXISTS); /* checked by whoever asked */
    end_faulty(&trial, faulty);
    faulty = begin_faulty(&trial, STEPS(not_there));
    result = put_small(&trial);
    assert_end(&result, BUCKET_FAILED);
    end_faulty(&trial, faulty);
}

WITH_KEYS(put__nobody_answers__unusable)
{
    const struct faulty_step steps[] = {
        {"PUT /videos/p-", FAULTY_LOSE, 0, NULL, NULL},
        {"HEAD /videos/p-", FAULTY_LOSE, 0, NULL, NULL}};
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    struct bucket_result result = put_small(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "S3 can't be reached"));
    end_faulty(&trial, faulty);
}

WITH_KEYS(put__refused_before_the_body__unusable)
{
    const struct faulty_step steps[] = {
        {"PUT /videos/p-", FAULTY_EARLY, 403, NULL, ERROR("AccessDenied")}};
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    char *bytes = video_of(3 * MIB);
    struct bucket_result result =
        put_whole(&trial, "a.mp4", bytes, 3 * MIB, true);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "AccessDenied"));
    free(bytes);
    end_faulty(&trial, faulty);
}

WITH_KEYS(put__server_reads_slowly__caller_waits)
{
    const struct faulty_step steps[] = {
        {"PUT /videos/p-", FAULTY_SLOW, 200, NULL, NULL}};
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    char *bytes = video_of(8 * MIB);
    struct bucket_result result =
        put_whole(&trial, "a.mp4", bytes, 8 * MIB, true);
    assert_end(&result, BUCKET_DONE);
    free(bytes);
    end_faulty(&trial, faulty);
}

WITH_KEYS(put__options__are_sent)
{
    const struct faulty_step steps[] = {
        {"PUT /videos/p-", FAULTY_ANSWER, 200, NULL, NULL}};
    static const char *const wanted[] = {
        "\r\nx-amz-server-side-encryption: aws:kms\r\n",
        "\r\nx-amz-server-side-encryption-aws-kms-key-id: k1\r\n",
        "\r\nx-amz-storage-class: STANDARD_IA\r\n",
        "\r\nx-amz-tagging: a=b&c=d\r\n",
        "\r\nx-amz-acl: bucket-owner-full-control\r\n",
        "\r\nx-amz-expected-bucket-owner: 123456789012\r\n",
        "\r\ncontent-type: video/mp4\r\n",
        "\r\nx-amz-trailer: x-amz-checksum-sha256\r\n",
        "\r\nx-amz-decoded-content-length: 100000\r\n",
    };
    struct trial trial;
    struct faulty *faulty = faulty_start(STEPS(steps));
    begin_with(&trial, faulty->url, "videos",
               "&region=eu-1&sse=aws:kms&sse_kms_key_id=k1"
               "&storage_class=STANDARD_IA&tags=a%3Db%26c%3Dd"
               "&owner=123456789012&acl=bucket-owner-full-control");
    struct bucket_result result = put_small(&trial);
    assert_end(&result, BUCKET_DONE);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (!strstr(faulty->heads[0], wanted[i])) {
            fail_msg("missing: %s in %s", wanted[i], faulty->heads[0]);
        }
    }
    end_faulty(&trial, faulty);
}

/** Another form of the same put would not help. */
WITH_KEYS(put__a_bucket_without_acls__is_unusable_and_says_why)
{
    const struct faulty_step steps[] = {
        {"PUT /videos/p-", FAULTY_ANSWER, 400, NULL,
         ERROR("AccessControlListNotSupported")}};
    struct trial trial;
    struct faulty *faulty = faulty_start(STEPS(steps));
    begin_with(&trial, faulty->url, "videos", "&acl=public-read");
    struct bucket_result result = put_small(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "AccessControlListNotSupported"));
    end_faulty(&trial, faulty);
}

/* ---- parts ---- */

#define CREATED "<R><Bucket>videos</Bucket><UploadId>u/1+2</UploadId></R>"
#define PART_1 "PUT /videos/p-"
#define ETAG "ETag: \"e\"\r\n"
#define NO_UPLOADS "<ListMultipartUploadsResult></ListMultipartUploadsResult>"

static struct bucket_result put_parts(struct trial *trial)
{
    char *bytes = video_of(9 * MIB);
    struct bucket_result result =
        put_whole(trial, "a.mp4", bytes, 9 * MIB, false);
    free(bytes);
    return result;
}

WITH_KEYS(parts__200_with_an_error__completed_again)
{
    const struct faulty_step steps[] = {
        {"POST /videos/p-", FAULTY_ANSWER, 200, NULL, CREATED},
        {PART_1, FAULTY_ANSWER, 503, NULL, ERROR("SlowDown")},
        {PART_1, FAULTY_ANSWER, 200, ETAG, NULL},
        {PART_1, FAULTY_ANSWER, 200, ETAG, NULL},
        {"POST /videos/p-", FAULTY_ANSWER, 200, NULL, ERROR("InternalError")},
        {"POST /videos/p-", FAULTY_ANSWER, 200, NULL, "<R/>"},
    };
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    struct bucket_result result = put_parts(&trial);
    assert_end(&result, BUCKET_DONE);
    assert_non_null(
        strstr(faulty->heads[2], "partNumber=1&uploadId=u%2F1%2B2"));
    assert_non_null(strstr(faulty->heads[3], "partNumber=2&"));
    assert_non_null(strcasestr(faulty->heads[5], "\r\nif-none-match: *"));
    end_faulty(&trial, faulty);
}

WITH_KEYS(parts__completed_unheard__found)
{
    const struct faulty_step steps[] = {
        {"POST /videos/p-", FAULTY_ANSWER, 200, NULL, CREATED},
        {PART_1, FAULTY_ANSWER, 200, ETAG, NULL},
        {PART_1, FAULTY_ANSWER, 200, ETAG, NULL},
        {"POST /videos/p-", FAULTY_LOSE, 0, NULL, NULL},
        {"POST /videos/p-", FAULTY_ANSWER, 404, NULL, ERROR("NoSuchUpload")},
        {"HEAD /videos/p-", FAULTY_ANSWER, 200, NULL, NULL},
    };
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    struct bucket_result result = put_parts(&trial);
    assert_end(&result, BUCKET_EXISTS);
    end_faulty(&trial, faulty);
}

WITH_KEYS(parts__refused__aborted)
{
    const struct faulty_step steps[] = {
        {"POST /videos/p-", FAULTY_ANSWER, 200, NULL, CREATED},
        {PART_1, FAULTY_ANSWER, 403, NULL, ERROR("AccessDenied")},
        {"DELETE /videos/p-", FAULTY_ANSWER, 204, NULL, NULL},
    };
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    struct bucket_result result = put_parts(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(faulty->heads[2], "?uploadId=u%2F1%2B2 "));
    end_faulty(&trial, faulty);
}

/* ---- sweep ---- */

#define PROBES "GET /videos/?list-type=2&max-keys=1000&prefix=p-"

static void on_swept(void *context)
{
    loop_stop(((struct trial *)context)->loop);
}

/** Until the server has seen every step. */
static void until_done(struct trial *trial, struct faulty *faulty)
{
    struct loop_timer *timer = loop_timer_new(trial->loop, on_swept, trial);
    for (int i = 0; i < 1200 && faulty->done < faulty->len; i++) {
        loop_timer_set(timer, 50);
        loop_run(trial->loop);
    }
    loop_timer_free(timer);
}

WITH_KEYS(sweep__old_or_overtaken_below_the_prefix__aborted)
{
    char list[1600];
    char key[100];
    struct faulty_step steps[] = {
        {"GET /videos/?uploads=", FAULTY_ANSWER, 200, NULL, list},
        {"DELETE /videos/p-", FAULTY_ANSWER, 204, NULL, NULL},
        {"HEAD /videos/p-", FAULTY_ANSWER, 404, NULL, NULL},
        {"HEAD /videos/p-", FAULTY_ANSWER, 200, NULL, NULL},
        {"DELETE /videos/p-", FAULTY_ANSWER, 204, NULL, NULL},
        {PROBES, FAULTY_ANSWER, 200, NULL, "<R/>"},
    };
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    snprintf(key, sizeof key, "%s/a&amp;b.mp4", trial.prefix);
    snprintf(list, sizeof list,
             "<R><Upload><Key>%s</Key><UploadId>old</UploadId><Initiated>"
             "2013-05-24T00:00:00.000Z</Initiated></Upload>"
             "<Upload><Key>%s</Key><UploadId>new</UploadId><Initiated>"
             "2113-05-24T00:00:00.000Z</Initiated></Upload>"
             "<Upload><Key>%s</Key><UploadId>late</UploadId><Initiated>"
             "2113-05-24T00:00:00.000Z</Initiated></Upload>"
             "<Upload><Key>others</Key><UploadId>old</UploadId><Initiated>"
             "2013-05-24T00:00:00.000Z</Initiated></Upload></R>",
             key, key, key);
    bucket_sweep(trial.bucket, "a&b.mp4", 3600000);
    until_done(&trial, faulty);
    assert_non_null(strstr(faulty->heads[1], "a%26b.mp4?uploadId=old "));
    assert_non_null(strstr(faulty->heads[4], "a%26b.mp4?uploadId=late "));
    end_faulty(&trial, faulty);
}

/* ---- clock, region, credentials ---- */

#define PROBE "PUT /videos/p-"
#define LOOK "GET /videos/p-"

WITH_KEYS(check__skewed_clock__signed_with_the_stores)
{
    const struct faulty_step steps[] = {
        {LOOK, FAULTY_ANSWER, 403, "Date: Sun, 22 Nov 2099 06:00:00 GMT\r\n",
         ERROR("RequestTimeTooSkewed")},
        {LOOK, FAULTY_ANSWER, 404, NULL, NULL}};
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    struct bucket_result result = check(&trial, "a.mp4");
    assert_end(&result, BUCKET_MISSING);
    assert_null(strstr(faulty->heads[0], "x-amz-date: 20991122T06"));
    assert_non_null(strstr(faulty->heads[1], "x-amz-date: 20991122T06"));
    assert_non_null(strstr(faulty->heads[1], "/20991122/eu-1/s3/"));
    end_faulty(&trial, faulty);
}

WITH_KEYS(check__two_by_a_skewed_clock__both_are_signed_anew)
{
    const struct faulty_step late = {LOOK, FAULTY_ANSWER, 403,
                                     "Date: Sun, 22 Nov 2099 06:00:00 GMT\r\n",
                                     ERROR("RequestTimeTooSkewed")};
    const struct faulty_step missing = {LOOK, FAULTY_ANSWER, 404, NULL, NULL};
    const struct faulty_step steps[] = {late, late, missing, missing};
    struct trial trial;
    struct answer answers[2];
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    for (int i = 0; i < 2; i++) {
        answers[i] = (struct answer){.trial = &trial};
        bucket_check(trial.bucket, STR("a.mp4"), on_result, &answers[i]);
    }
    for (int i = 0; i < 2; i++) {
        wait_for(&trial, &answers[i]);
        assert_end(&answers[i].result, BUCKET_MISSING);
    }
    end_faulty(&trial, faulty);
}

WITH_KEYS(probe__other_region__says_which)
{
    const struct faulty_step steps[] = {{PROBE, FAULTY_ANSWER, 301,
                                         "x-amz-bucket-region: us-west-2\r\n",
                                         ERROR("PermanentRedirect")}};
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    struct bucket_result result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_string_equal(result.why,
                        "the bucket is in the region us-west-2, ours is eu-1");
    end_faulty(&trial, faulty);
}

WITH_KEYS(probe__expired_keys_of_the_environment__unusable)
{
    const struct faulty_step steps[] = {
        {PROBE, FAULTY_ANSWER, 400, NULL, ERROR("ExpiredToken")}};
    struct trial trial;
    setenv("AWS_SESSION_TOKEN", "tok/en", 1);
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    struct bucket_result result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "ExpiredToken"));
    assert_non_null(
        strstr(faulty->heads[0], "\r\nx-amz-security-token: tok/en\r\n"));
    end_faulty(&trial, faulty);
}

#define WITHOUT_KEYS(test) TEST_CASE_WITH(test, no_keys, NULL)

WITHOUT_KEYS(credentials__container__fetched_with_its_token)
{
    const struct faulty_step steps[] = {
        {"GET /creds?x=1 ", FAULTY_ANSWER, 200, NULL,
         "{\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
         "\"Expiration\":\"2099-01-01T00:00:00Z\"}"},
        {LOOK, FAULTY_ANSWER, 404, NULL, NULL}};
    char url[100];
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    snprintf(url, sizeof url, "%s/creds?x=1", faulty->url);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in", 1);
    struct bucket_result result = check(&trial, "a.mp4");
    assert_end(&result, BUCKET_MISSING);
    assert_non_null(
        strstr(faulty->heads[0], "\r\nAuthorization: let-me-in\r\n"));
    assert_non_null(strstr(faulty->heads[1], "Credential=ASIA1/"));
    assert_non_null(
        strstr(faulty->heads[1], "\r\nx-amz-security-token: t\r\n"));
    end_faulty(&trial, faulty);
}

/** A probe that ends at the first answer. */
#define UNAVAILABLE                                                            \
    {                                                                          \
        PROBE, FAULTY_ANSWER, 500, NULL, ERROR("InternalError")                \
    }

WITHOUT_KEYS(credentials__instance__fetched_again_when_expired)
{
    char keys[300];
    const struct faulty_step steps[] = {
        {"PUT /latest/api/token ", FAULTY_ANSWER, 200, NULL, "session"},
        {"GET /latest/meta-data/iam/security-credentials/ ", FAULTY_ANSWER, 200,
         NULL, "worker-role\n"},
        {"GET /latest/meta-data/iam/security-credentials/worker-role ",
         FAULTY_ANSWER, 200, NULL, keys},
        UNAVAILABLE,
        {"PUT /latest/api/token ", FAULTY_ANSWER, 200, NULL, "session"},
        {"GET /latest/meta-data/iam/security-credentials/ ", FAULTY_ANSWER, 200,
         NULL, "worker-role\n"},
        {"GET /latest/meta-data/iam/security-credentials/worker-role ",
         FAULTY_ANSWER, 200, NULL,
         "{\"AccessKeyId\":\"ASIA2\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
         "\"Expiration\":\"2099-01-01T00:00:00Z\"}"},
        UNAVAILABLE,
    };
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", faulty->url, 1);
    unsetenv("AWS_EC2_METADATA_DISABLED");
    strftime(keys, sizeof keys,
             "{\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"s\",\"Token\":"
             "\"t\",\"Expiration\":\"%Y-%m-%dT%H:%M:%SZ\"}",
             gmtime(&(time_t){time(NULL) + 3600}));
    struct bucket_result result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(
        strstr(faulty->heads[1], "\r\nX-aws-ec2-metadata-token: session\r\n"));
    assert_non_null(strstr(faulty->heads[3], "Credential=ASIA1/"));
    ahead_ms = 3601000; /* later than any first probe ends */
    result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(faulty->heads[7], "Credential=ASIA2/"));
    end_faulty(&trial, faulty);
    ahead_ms = 0;
}

/** A new one; `path` ends in XXXXXX. */
static void write_file(char *path, const char *text)
{
    FILE *file = fdopen(mkstemp(path), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

WITHOUT_KEYS(credentials__web_identity__of_sts)
{
    const struct faulty_step steps[] = {
        {"POST / ", FAULTY_ANSWER, 200, NULL,
         "<A><Credentials><AccessKeyId>ASIA3</AccessKeyId><SecretAccessKey>s"
         "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>"
         "2099-01-01T00:00:00Z</Expiration></Credentials></A>"},
        UNAVAILABLE};
    char path[] = "/tmp/s3-token-XXXXXX";
    struct trial trial;
    write_file(path, "a.b.c\n");
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
    setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
    setenv("AWS_ENDPOINT_URL_STS", faulty->url, 1);
    struct bucket_result result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(faulty->heads[1], "Credential=ASIA3/"));
    end_faulty(&trial, faulty);
    unlink(path);
}

WITHOUT_KEYS(credentials__shared_files__of_the_profile)
{
    const struct faulty_step steps[] = {UNAVAILABLE};
    char path[] = "/tmp/s3-shared-XXXXXX";
    struct trial trial;
    write_file(path,
               "[default]\naws_access_key_id=NO\naws_secret_access_key=x\n"
               "[film]\naws_access_key_id = AKIAFILM\n"
               "aws_secret_access_key = y\n");
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    setenv("AWS_PROFILE", "film", 1);
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    struct bucket_result result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(faulty->heads[0], "Credential=AKIAFILM/"));
    end_faulty(&trial, faulty);
    unlink(path);
}

WITH_KEYS(sweep__a_list_of_pages__each_is_read)
{
    char first[600];
    char second[600];
    struct faulty_step steps[] = {
        {"GET /videos/?uploads=", FAULTY_ANSWER, 200, NULL, first},
        {"DELETE /videos/p-", FAULTY_ANSWER, 204, NULL, NULL},
        {"GET /videos/?uploads=", FAULTY_ANSWER, 200, NULL, second},
        {"DELETE /videos/p-", FAULTY_ANSWER, 204, NULL, NULL},
        {PROBES, FAULTY_ANSWER, 200, NULL, "<R/>"},
    };
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    static const char text[] =
        "<R><IsTruncated>%s</IsTruncated>"
        "<NextKeyMarker>k&amp;m</NextKeyMarker>"
        "<NextUploadIdMarker>i/m</NextUploadIdMarker>"
        "<Upload><Key>%s/a.mp4</Key><UploadId>%s</UploadId><Initiated>"
        "2013-05-24T00:00:00.000Z</Initiated></Upload></R>";
    snprintf(first, sizeof first, text, "true", trial.prefix, "one");
    snprintf(second, sizeof second, text, "false", trial.prefix, "two");
    bucket_sweep(trial.bucket, "a.mp4", 3600000);
    until_done(&trial, faulty);
    assert_null(strstr(faulty->heads[0], "key-marker"));
    assert_non_null(strstr(faulty->heads[2], "&key-marker=k%26m&"
                                             "upload-id-marker=i%2Fm "));
    assert_non_null(strstr(faulty->heads[3], "a.mp4?uploadId=two "));
    end_faulty(&trial, faulty);
}

/** What is left of one key, and of another one that begins like it. */
#define LEFT_OF_KEY                                                            \
    "<R><Upload><Key>%s/a.mp4</Key><UploadId>mine</UploadId></Upload>"         \
    "<Upload><Key>%s/a.mp4.mp4</Key><UploadId>not</UploadId></Upload></R>"

WITH_KEYS(forget__s3_is_away__told_and_tried_until_it_is_done)
{
    char list[600];
    struct faulty_step steps[] = {
        {"GET /videos/?uploads=", FAULTY_ANSWER, 503, NULL, ERROR("SlowDown")},
        {"GET /videos/?uploads=", FAULTY_ANSWER, 200, NULL, list},
        {"DELETE /videos/p-", FAULTY_LOSE, 0, NULL, NULL},
        {"GET /videos/?uploads=", FAULTY_ANSWER, 200, NULL, list},
        {"DELETE /videos/p-", FAULTY_ANSWER, 204, NULL, NULL},
    };
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    struct answer answer = {.trial = &trial};
    snprintf(list, sizeof list, LEFT_OF_KEY, trial.prefix, trial.prefix);
    assert_true(bucket_forget(trial.bucket, STR("a.mp4"), on_result, &answer));
    wait_for(&trial, &answer);
    assert_end(&answer.result, BUCKET_FAILED);
    until_done(&trial, faulty);
    assert_non_null(strstr(faulty->heads[4], "a.mp4?uploadId=mine "));
    end_faulty(&trial, faulty);
}

WITH_KEYS(forget__nothing_stands_in_its_way__done)
{
    char list[600];
    struct faulty_step steps[] = {
        {"GET /videos/?uploads=", FAULTY_ANSWER, 200, NULL, list},
        {"DELETE /videos/p-", FAULTY_ANSWER, 404, NULL, ERROR("NoSuchUpload")},
    };
    struct trial trial;
    struct faulty *faulty = begin_faulty(&trial, STEPS(steps));
    struct answer answer = {.trial = &trial};
    snprintf(list, sizeof list, LEFT_OF_KEY, trial.prefix, trial.prefix);
    assert_true(bucket_forget(trial.bucket, STR("a.mp4"), on_result, &answer));
    wait_for(&trial, &answer);
    assert_end(&answer.result, BUCKET_DONE);
    end_faulty(&trial, faulty);
}

TESTS_RUN(NULL, NULL)
