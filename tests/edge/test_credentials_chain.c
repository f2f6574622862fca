#include "edge/bucket.h"
#include "edge/s3/credentials.h"
#include "edge/web.h"
#include "lib/check.h"

#include <signal.h>
#include <sys/stat.h>

/* Profiles that want another's keys, a process, a role, and the next role with
 * that one's keys; STS is a server of ours. */

#define LIMIT_MS 60000

static struct loop *loop;
static struct wire *wire;
static struct credentials *credentials;
static struct web *web;
static char folder[32];
static char said[4][WEB_REQUEST_BYTES]; /* to STS, each time */

struct waiter {
    struct credentials_wait wait;
    int ends;
    char why[256];
};

/** STS: the n-th role has the keys ASIAn. */
static bool serve_sts(struct web *w, int fd, const char *request, int number)
{
    char body[600];
    char reply[900];
    if (number <= 4) {
        snprintf(said[number - 1], sizeof said[0], "%s", request);
    }
    if (w->context) {
        return web_say(fd, w->context);
    }
    snprintf(body, sizeof body,
             "<R><AccessKeyId>ASIA%d</AccessKeyId><SecretAccessKey>s%d"
             "</SecretAccessKey><SessionToken>t%d</SessionToken>"
             "<Expiration>2999-01-01T00:00:00Z</Expiration></R>",
             number, number, number);
    snprintf(reply, sizeof reply,
             "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
             body);
    return web_say(fd, reply);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static int setup(void **state)
{
    static const char *const others[] = {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_DEFAULT_REGION",
    };
    struct err err = {0};
    char path[100];
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        unsetenv(others[i]);
    }
    memset(said, 0, sizeof said);
    snprintf(folder, sizeof folder, "/tmp/test-chain-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/credentials", folder);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    snprintf(path, sizeof path, "%s/config", folder);
    setenv("AWS_CONFIG_FILE", path, 1);
    setenv("AWS_PROFILE", "work", 1);
    setenv("AWS_REGION", "eu-west-1", 1);
    web = web_start(serve_sts, NULL);
    setenv("AWS_ENDPOINT_URL_STS", web->url, 1);
    loop = loop_open(&err);
    wire = wire_open(loop, 4, NULL, &err);
    credentials = credentials_open(loop, wire, "S3");
    return loop && wire && credentials ? 0 : -1;
}

static int teardown(void **state)
{
    char command[100];
    (void)state;
    credentials_close(credentials);
    wire_close(wire);
    web_stop(web);
    loop_close(loop);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

#define TEST(name) TEST_CASE_WITH(name, setup, teardown)

static void out_of_time(void *context)
{
    (void)context;
    fail_msg("nobody was told");
}

static void on_end(void *context, const char *why)
{
    struct waiter *waiter = context;
    waiter->ends++;
    snprintf(waiter->why, sizeof waiter->why, "%s", why ? why : "");
    loop_stop(loop);
}

static struct waiter want(void)
{
    struct waiter waiter = {.wait = {.on_end = on_end}};
    struct loop_timer *limit = loop_timer_new(loop, out_of_time, NULL);
    waiter.wait.context = &waiter;
    list_init(&waiter.wait.link);
    loop_timer_set(limit, LIMIT_MS);
    credentials_want(credentials, &waiter.wait);
    loop_run(loop);
    loop_timer_free(limit);
    assert_int_equal(waiter.ends, 1);
    return waiter;
}

static void assert_key(const char *id, const char *token)
{
    const struct waiter waiter = want();
    assert_string_equal(waiter.why, "");
    const struct sigv4_key *key = credentials_now(credentials);
    assert_non_null(key);
    assert_true(str_eq(key->id, str_of(id)));
    assert_true(str_eq(key->token, str_of(token)));
}

static void assert_fails(const char *words)
{
    const struct waiter waiter = want();
    if (!strstr(waiter.why, words)) {
        fail_msg("\"%s\" lacks \"%s\"", waiter.why, words);
    }
    assert_null(strstr(waiter.why, "SECRET"));
    assert_null(credentials_now(credentials));
}

/* ---- roles ---- */

TEST(source_profile__a_role__is_assumed_with_the_others_keys)
{
    write_file("credentials",
               "[base]\naws_access_key_id = AKIABASE\n"
               "aws_secret_access_key = SECRET\n",
               0600);
    write_file("config",
               "[profile work]\nrole_arn = arn:aws:iam::1:role/a b\n"
               "source_profile = base\nexternal_id = x/1\n"
               "duration_seconds = 900\nrole_session_name = me\n",
               0600);
    assert_key("ASIA1", "t1");
    assert_non_null(strstr(said[0], "POST / HTTP/1.1\r\n"));
    assert_non_null(strcasestr(said[0], "\r\nAuthorization: AWS4-HMAC-SHA256 "
                                        "Credential=AKIABASE/"));
    assert_non_null(strstr(said[0], "/eu-west-1/sts/aws4_request"));
    assert_non_null(strcasestr(said[0], "\r\nx-amz-date: "));
    assert_null(strcasestr(said[0], "x-amz-security-token"));
    assert_non_null(strstr(
        said[0], "Action=AssumeRole&Version=2011-06-15&RoleSessionName=me&"
                 "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fa%20b&"
                 "DurationSeconds=900&ExternalId=x%2F1"));
    assert_null(strstr(said[0], "SECRET"));
    assert_int_equal(web->requests, 1);
}

TEST(source_profile__a_chain__is_gone_through_from_its_end)
{
    write_file("credentials",
               "[base]\naws_access_key_id = AKIABASE\n"
               "aws_secret_access_key = SECRET\naws_session_token = base-t\n",
               0600);
    write_file("config",
               "[profile work]\nrole_arn = last\nsource_profile = middle\n"
               "[profile middle]\nrole_arn = first\nsource_profile = base\n",
               0600);
    assert_key("ASIA2", "t2");
    assert_non_null(strstr(said[0], "RoleArn=first"));
    assert_non_null(strcasestr(said[0], "x-amz-security-token: base-t\r\n"));
    assert_non_null(strstr(said[1], "RoleArn=last"));
    assert_non_null(strstr(said[1], "Credential=ASIA1/"));
    assert_non_null(strcasestr(said[1], "x-amz-security-token: t1\r\n"));
    assert_non_null(strstr(said[1], "x-amz-date;x-amz-security-token,"));
    assert_int_equal(web->requests, 2);
}

TEST(source_profile__a_refusal__is_told_with_the_code_of_sts)
{
    web->context = "HTTP/1.1 403 Forbidden\r\nContent-Length: 52\r\n\r\n"
                   "<E><Error><Code>AccessDenied</Code></Error></E>     ";
    write_file("credentials",
               "[work]\nrole_arn = r\nsource_profile = work\n"
               "aws_access_key_id = AKIA\naws_secret_access_key = SECRET\n",
               0600);
    assert_fails("STS: status 403, AccessDenied");
    assert_int_equal(web->requests, 1);
}

TEST(source_profile__the_environment__gives_keys_to_a_role)
{
    char text[300];
    write_file("token", "web-token\n", 0600);
    snprintf(text, sizeof text,
             "[profile work]\nrole_arn = last\nsource_profile = eks\n"
             "[profile eks]\nrole_arn = first\n"
             "web_identity_token_file = %s/token\n",
             folder);
    write_file("config", text, 0600);
    assert_key("ASIA2", "t2");
    assert_non_null(strstr(said[0], "Action=AssumeRoleWithWebIdentity"));
    assert_non_null(strstr(said[0], "WebIdentityToken=web-token"));
    assert_null(strcasestr(said[0], "\r\nAuthorization:"));
    assert_non_null(strstr(said[1], "RoleArn=last"));
    assert_non_null(strstr(said[1], "Credential=ASIA1/"));
}

TEST(source_profile__what_cant_be_done__says_what)
{
    static const char *const rows[][2] = {
        {"role_arn = r\nsource_profile = base\nmfa_serial = m\n",
         "the profile work wants the code of an MFA device"},
        {"role_arn = r\n", "the profile work has a role_arn and needs one of"},
        {"role_arn = r\nsource_profile = nobody\n",
         "the profile nobody has no keys for the role"},
        {"role_arn = r\nsource_profile = loop\n[profile loop]\n"
         "role_arn = r\nsource_profile = work\n",
         "leads over more than 5 roles, or in a circle"},
        {"sso_session = x\n", "the profile work wants single sign-on"},
        {"role_arn = r\ncredential_source = Magic\n",
         "credential_source Magic has none here"},
        {"region = r\n", "no keys in the shared files for the profile: work"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[400];
        snprintf(text, sizeof text, "[profile work]\n%s", rows[i][0]);
        write_file("config", text, 0600);
        assert_fails(rows[i][1]);
        assert_int_equal(web->requests, 0);
        teardown(state);
        assert_int_equal(setup(state), 0);
    }
}

TEST(source_find_sts__a_bad_endpoint__is_named)
{
    setenv("AWS_ENDPOINT_URL_STS", "http://sts.example.com", 1);
    write_file("credentials",
               "[work]\nrole_arn = r\nsource_profile = work\n"
               "aws_access_key_id = AKIA\naws_secret_access_key = SECRET\n",
               0600);
    assert_fails("AWS_ENDPOINT_URL_STS");
    assert_int_equal(web->requests, 0);
}

/* ---- S3's endpoint ---- */

static void assert_opens_as(const char *name)
{
    struct err err = {0};
    struct bucket *bucket =
        bucket_open(loop, STR("s3://videos/p"), 8, 1 << 20, NULL, &err);
    if (!bucket) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(bucket_name(bucket), name);
    bucket_close(bucket);
}

/** As AWS's tools: the service's own before the general one, the profile's
 * behind both; judged as STORAGE_URL's would be. */
TEST(credentials_endpoint__of_environment_and_profile__is_taken)
{
    struct err err = {0};
    assert_opens_as("s3://videos/p");
    write_file("config", "[profile work]\nendpoint_url = http://minio:7\n",
               0600);
    assert_opens_as("s3://videos/p?endpoint=http://minio:7");
    setenv("AWS_ENDPOINT_URL", "http://minio:1", 1);
    assert_opens_as("s3://videos/p?endpoint=http://minio:1");
    setenv("AWS_ENDPOINT_URL_S3", "http://minio:9000/", 1);
    assert_opens_as("s3://videos/p?endpoint=http://minio:9000");
    setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
    assert_opens_as("s3://videos/p");
    unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    setenv("AWS_ENDPOINT_URL_S3", "http://s3.example.com", 1);
    assert_null(
        bucket_open(loop, STR("s3://videos/p"), 8, 1 << 20, NULL, &err));
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_non_null(strstr(err.text, "AWS_ENDPOINT_URL_S3: value is plain"));
}

/* ---- a process ---- */

static void use_process(const char *script, const char *arguments)
{
    char text[400];
    write_file("keys.sh", script, 0700);
    snprintf(text, sizeof text,
             "[profile work]\ncredential_process = %s/keys.sh %s\n", folder,
             arguments);
    write_file("config", text, 0600);
}

TEST(credential_process__prints_keys__they_are_used)
{
    use_process(
        "#!/bin/sh\n[ \"$1\" = 'a b' ] && [ \"$2\" = 'c\"d' ] || exit 9\n"
        "echo 'SECRET' >&2\n"
        "echo '{\"Version\":1,\"AccessKeyId\":\"AKIAP\","
        "\"SecretAccessKey\":\"SECRET\",\"SessionToken\":\"tp\","
        "\"Expiration\":\"2999-01-01T00:00:00Z\"}'\n",
        "'a b' \"c\\\"d\"");
    assert_key("AKIAP", "tp");
}

TEST(credential_process__before_a_role__gives_its_keys)
{
    char text[400];
    write_file("keys.sh",
               "#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":\"AKIAP\","
               "\"SecretAccessKey\":\"SECRET\"}'\n",
               0700);
    snprintf(text, sizeof text,
             "[profile work]\nrole_arn = r\nsource_profile = base\n"
             "[profile base]\ncredential_process = %s/keys.sh\n",
             folder);
    write_file("config", text, 0600);
    assert_key("ASIA1", "t1");
    assert_non_null(strstr(said[0], "Credential=AKIAP/"));
}

TEST(credential_process__that_fails__is_told)
{
    static const char *const rows[][2] = {
        {"#!/bin/sh\necho SECRET\nexit 3\n", "ended with status 3"},
        {"#!/bin/sh\nkill -9 $$\n", "ended with signal 9"},
        {"#!/bin/sh\necho SECRET\n", "it prints no keys as JSON"},
        {"#!/bin/sh\necho '{\"Version\":2,\"AccessKeyId\":\"A\","
         "\"SecretAccessKey\":\"SECRET\"}'\n",
         "it prints no keys as JSON"},
        {"#!/bin/sh\nexec cat /dev/zero\n", "printed more than 64 KiB"},
        {"#!/nonexistent\n", "can't be started"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        use_process(rows[i][0], "");
        assert_fails(rows[i][1]);
        teardown(state);
        assert_int_equal(setup(state), 0);
    }
}

static void stop(void *context)
{
    ++*(int *)context;
    loop_stop(loop);
}

/** The loop turns meanwhile, and a close ends it, with what it began. */
TEST(credential_process__that_hangs__holds_up_nobody)
{
    struct waiter waiter = {.wait = {.on_end = on_end, .context = &waiter}};
    int turns = 0;
    char command[200];
    use_process("#!/bin/sh\necho $$ >\"$1\"\nsleep 987 & sleep 987\n", "");
    snprintf(command, sizeof command, "%s/pid", folder);
    char text[400];
    snprintf(text, sizeof text,
             "[profile work]\ncredential_process = %s/keys.sh %s\n", folder,
             command);
    write_file("config", text, 0600);
    list_init(&waiter.wait.link);
    credentials_want(credentials, &waiter.wait);
    struct loop_timer *timer = loop_timer_new(loop, stop, &turns);
    int pid = 0;
    for (int i = 0; i < 3000 && pid == 0; i++) {
        loop_timer_set(timer, 20);
        loop_run(loop);
        FILE *file = fopen(command, "r");
        if (file) {
            if (fscanf(file, "%d", &pid) != 1) {
                pid = 0;
            }
            fclose(file);
        }
    }
    assert_true(pid > 0 && turns > 0);
    assert_int_equal(kill(-pid, 0), 0);
    credentials_forget(&waiter.wait);
    credentials_close(credentials);
    credentials = NULL;
    for (int i = 0; i < 3000 && kill(-pid, 0) == 0; i++) {
        loop_timer_set(timer, 20);
        loop_run(loop);
    }
    assert_int_equal(kill(-pid, 0), -1);
    loop_timer_free(timer);
    assert_int_equal(waiter.ends, 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return TESTS_RESULT(NULL, NULL);
}
