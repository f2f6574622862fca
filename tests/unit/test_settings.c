#include <string.h>

#include "lib/check.h"
#include "base/settings.h"

#include <stdlib.h>
#include <unistd.h>

#define KEY "APIMART_API_KEY=sk-canary-1234"

struct outcome {
    struct settings settings;
    struct buf faults;
    struct buf warnings;
    bool fine;
};

static struct outcome read_env(const char *const *env)
{
    struct outcome got;
    buf_init(&got.faults, 0);
    buf_init(&got.warnings, 0);
    got.fine = settings_read(&got.settings, env, SETTINGS_NEED_KEY, &got.faults,
                             &got.warnings);
    return got;
}

static void done(struct outcome *got)
{
    settings_done(&got->settings);
    buf_done(&got->faults);
    buf_done(&got->warnings);
}

#define READ(...) read_env((const char *const[]){__VA_ARGS__, NULL})

TEST_CASE(settings_read__the_key_alone__gives_the_defaults)
{
    struct outcome got = READ(KEY, "PATH=/bin");
    assert_true(got.fine);
    assert_string_equal(got.settings.kafka_brokers, "127.0.0.1:9092");
    assert_string_equal(got.settings.kafka_progress_topic, "");
    assert_string_equal(got.settings.apimart_api_key, "sk-canary-1234");
    assert_int_equal(got.settings.poll_interval_ms, 5000);
    assert_int_equal(got.settings.video_max_bytes, 4294967296);
    assert_int_equal(got.settings.submit_doubt, DOUBT_AUTO);
    assert_int_equal(got.settings.log_level, LOG_INFO);
    assert_false(got.settings.log_text);
    assert_false(got.settings.download_private);
    assert_false(got.settings.accepted_events);
    assert_int_equal(got.settings.kafka_conf_len, 0);
    assert_int_equal(got.warnings.len, 0);
    done(&got);
}

TEST_CASE(settings_read__a_proxy__is_a_secret)
{
    struct outcome got =
        READ(KEY, "PROXY_URL=http://me:s3cret@proxy:3128",
             "PROXY_EXCEPT=s3.intern, 10.0.0.0/8", "PROXY_ASSETS=1",
             "APIMART_CA_FILE=/etc/ca.pem", "HTTPS_PROXY=http://x");
    assert_true(got.fine);
    assert_int_equal(got.warnings.len, 0);
    assert_true(got.settings.proxy_assets);
    assert_string_equal(got.settings.apimart_ca_file, "/etc/ca.pem");
    done(&got);
    got = READ(KEY, "PROXY_URL=socks5://me:s3cret@proxy:3128",
               "PROXY_EXCEPT=a b", "ASSET_CA_FILE=ca.pem");
    assert_false(got.fine);
    assert_null(strstr(got.faults.bytes, "s3cret"));
    assert_non_null(strstr(got.faults.bytes, "PROXY_URL: value (not shown)"));
    assert_non_null(strstr(got.faults.bytes, "PROXY_EXCEPT: value \"a b\""));
    assert_non_null(strstr(got.faults.bytes, "ASSET_CA_FILE: value"));
    done(&got);
}

/** What other programs would go by is named, once. */
TEST_CASE(settings_read__a_proxy_of_the_environment__is_a_warning)
{
    struct outcome got =
        READ(KEY, "http_proxy=http://x:s3cret@y", "HTTPS_PROXY=http://x");
    assert_true(got.fine);
    assert_string_equal(got.warnings.bytes, "HTTPS_PROXY: is not heeded, "
                                            "PROXY_URL names a proxy\n");
    done(&got);
}

TEST_CASE(settings_read__several_accounts__stand_for_the_key)
{
    struct outcome got = READ("APIMART_ACCOUNTS=[{}]");
    assert_true(got.fine);
    assert_string_equal(got.settings.apimart_accounts, "[{}]");
    assert_false(got.settings.accounts_from_file);
    done(&got);
    got = READ(KEY, "APIMART_ACCOUNTS=[{\"key\":\"sk-secret\"}]");
    assert_false(got.fine);
    assert_string_equal(got.faults.bytes,
                        "APIMART_ACCOUNTS: is set, and APIMART_API_KEY too, "
                        "allowed: one of them\n");
    done(&got);
    got = READ("APIMART_ACCOUNTS_FILE=/nowhere/at/all");
    assert_false(got.fine);
    assert_true(got.settings.accounts_from_file);
    assert_string_equal(got.faults.bytes,
                        "APIMART_ACCOUNTS_FILE: file \"/nowhere/at/all\" can't "
                        "be read (No such file or directory)\n");
    done(&got);
}

TEST_CASE(settings_read__many_faults__are_all_told)
{
    struct outcome got =
        READ("POLL_INTERVAL_MS=soon", "TASKS_MAX=0", "LOG_FORMAT=xml",
             "APIMART_BASE_URL=http://example.com", "STORAGE_URL=/videos",
             "KEY_TEMPLATE={index}.mp4", "ADMIN_LISTEN=9464");
    assert_false(got.fine);
    assert_string_equal(
        got.faults.bytes,
        "APIMART_BASE_URL: value \"http://example.com\" is plain http to a "
        "host that is not private, allowed: https://host[:port][/path]; "
        "http:// only for loopback and private addresses\n"
        "STORAGE_URL: value \"/videos\" is neither file:/// nor s3://, "
        "allowed: file:///absolute/folder or s3://bucket/prefix?options\n"
        "KEY_TEMPLATE: value \"{index}.mp4\" lacks {request_id} or {index}, "
        "allowed: letters, digits, . _ - = + / and {tenant} {yyyy} {mm} {dd} "
        "{request_id} {index}, the last two at least once, no part empty, . "
        "or ..\n"
        "ADMIN_LISTEN: value \"9464\" is not host:port, allowed: host:port, "
        "such as 0.0.0.0:9464 or [::]:9464\n"
        "APIMART_API_KEY: is not set, allowed: the provider's key, or "
        "APIMART_ACCOUNTS with several\n"
        "POLL_INTERVAL_MS: value \"soon\" is not a whole number, allowed: "
        "10..3600000\n"
        "TASKS_MAX: value \"0\" is out of range, allowed: 1..1000000\n"
        "LOG_FORMAT: value \"xml\" is none of the words, allowed: json|text\n");
    done(&got);
}

TEST_CASE(settings_read__ids_that_go_before_history__are_refused)
{
    struct outcome got = READ(KEY, "IDS_DAYS=30");
    assert_false(got.fine);
    assert_string_equal(got.faults.bytes,
                        "IDS_DAYS: value 30 where HISTORY_DAYS is 0 (all "
                        "history is kept), allowed: 0, or HISTORY_DAYS set "
                        "too\n");
    done(&got);
    got = READ(KEY, "HISTORY_DAYS=31", "IDS_DAYS=30");
    assert_false(got.fine);
    assert_string_equal(got.faults.bytes,
                        "IDS_DAYS: value 30 is less than HISTORY_DAYS (31), "
                        "allowed: 0 (for ever) or 31..36500\n");
    done(&got);
    got = READ(KEY, "HISTORY_DAYS=30", "IDS_DAYS=30");
    assert_true(got.fine);
    assert_int_equal(got.settings.history_days, 30);
    assert_int_equal(got.settings.ids_days, 30);
    done(&got);
    got = READ(KEY, "HISTORY_DAYS=30");
    assert_true(got.fine);
    done(&got);
    got = READ(KEY, "HISTORY_DAYS=36501", "IDS_DAYS=-1");
    assert_false(got.fine);
    assert_non_null(strstr(got.faults.bytes,
                           "HISTORY_DAYS: value \"36501\" is "
                           "out of range, allowed: 0..36500"));
    assert_non_null(strstr(got.faults.bytes, "IDS_DAYS: value \"-1\""));
    done(&got);
}

TEST_CASE(settings_read__a_bad_secret__is_not_shown)
{
    struct outcome got = READ("APIMART_API_KEY=canary\x01",
                              "APIMART_BASE_URL=https://u:canary@host",
                              "STORAGE_URL=https://u:canary@bucket");
    assert_false(got.fine);
    assert_null(strstr(got.faults.bytes, "canary"));
    assert_non_null(strstr(got.faults.bytes, "APIMART_API_KEY: value (not"));
    assert_non_null(strstr(got.faults.bytes, "holds user info"));
    done(&got);
}

static char *file_with(const char *bytes)
{
    char *path = strdup("/tmp/settings-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
    close(fd);
    return path;
}

TEST_CASE(settings_read__name_file__reads_the_file)
{
    char *path = file_with("sk-from-file\n");
    char entry[64];
    char conf[64];
    snprintf(entry, sizeof entry, "APIMART_API_KEY_FILE=%s", path);
    snprintf(conf, sizeof conf, "KAFKA_CONF_SASL_PASSWORD_FILE=%s", path);
    struct outcome got =
        READ(entry, conf, "KAFKA_CONF_SECURITY_PROTOCOL=SASL_SSL",
             "KAFKA_CONF_SASL_MECHANISM=PLAIN", "KAFKA_CONF_SASL_USERNAME=me");
    assert_true(got.fine);
    assert_string_equal(got.settings.apimart_api_key, "sk-from-file");
    assert_int_equal(got.settings.kafka_conf_len, 4);
    assert_string_equal(got.settings.kafka_conf[1].name, "sasl.password");
    assert_string_equal(got.settings.kafka_conf[1].value, "sk-from-file");
    done(&got);
    got = READ(entry, KEY);
    assert_string_equal(got.faults.bytes,
                        "APIMART_API_KEY: is set, and APIMART_API_KEY_FILE "
                        "too, allowed: one of them\n");
    done(&got);
    unlink(path);
    got = READ(entry);
    assert_non_null(strstr(got.faults.bytes, "No such file"));
    assert_null(strstr(got.faults.bytes, "is not set"));
    done(&got);
    free(path);
}

TEST_CASE(settings_read__kafka_conf_against_a_promise__is_refused)
{
    static const char *const wrong[] = {
        "GROUP_INSTANCE_ID=pixverse",
        "GROUP_ID=mine",
        "BOOTSTRAP_SERVERS=a:1",
        "METADATA_BROKER_LIST=a:1",
        "ENABLE_AUTO_COMMIT=false",
        "AUTO_COMMIT_ENABLE=false",
        "ENABLE_AUTO_OFFSET_STORE=true",
        "OFFSET_STORE_METHOD=file",
        "AUTO_OFFSET_RESET=latest",
        "ISOLATION_LEVEL=read_uncommitted",
        "TRANSACTIONAL_ID=x",
        "ACKS=1",
        "REQUEST_REQUIRED_ACKS=0",
        "ENABLE_IDEMPOTENCE=false",
        "PARTITIONER=random",
        "GROUP_PROTOCOL=consumer",
        "PARTITION_ASSIGNMENT_STRATEGY=cooperative-sticky",
        "STATISTICS_INTERVAL_MS=0",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char entry[200];
        snprintf(entry, sizeof entry, "KAFKA_CONF_%s", wrong[i]);
        struct outcome got = READ(KEY, entry);
        assert_false(got.fine);
        *strchr(entry, '=') = '\0';
        assert_memory_equal(got.faults.bytes, entry, strlen(entry));
        assert_non_null(strstr(got.faults.bytes, ", allowed: "));
        assert_int_equal(got.settings.kafka_conf_len, 0);
        done(&got);
    }
}

TEST_CASE(settings_read__kafka_conf_as_it_is_anyway__is_taken)
{
    char host[256] = "";
    char seat[400];
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    snprintf(seat, sizeof seat, "KAFKA_CONF_GROUP_INSTANCE_ID=pixverse-%s-1",
             host);
    struct outcome got =
        READ(KEY, seat, "KAFKA_CONF_ACKS=-1", "KAFKA_CONF_CLIENT_ID=x",
             "KAFKA_CONF_AUTO_OFFSET_RESET=earliest",
             "KAFKA_CONF_ISOLATION_LEVEL=read_committed");
    assert_true(got.fine);
    assert_int_equal(got.settings.kafka_conf_len, 5);
    done(&got);
}

/** A key among a URL's options, the wrong file, the secret for its path. */
TEST_CASE(settings_read__a_secret_in_the_wrong_place__is_not_shown)
{
    char *path = file_with("canary\n");
    char number[64];
    char word[64];
    char topic[64];
    snprintf(number, sizeof number, "POLL_INTERVAL_MS_FILE=%s", path);
    snprintf(word, sizeof word, "LOG_FORMAT_FILE=%s", path);
    snprintf(topic, sizeof topic, "ADMIN_LISTEN_FILE=%s", path);
    struct outcome got =
        READ("APIMART_API_KEY_FILE=sk-canary",
             "DATABASE_URL_FILE=postgresql://u:canary@h/d",
             "KAFKA_CONF_SASL_PASSWORD_FILE=canary", number, word, topic,
             "APIMART_BASE_URL=https://api.example?key=canary",
             "STORAGE_URL=s3://bucket/p?secretAccessKey=canary",
             "KAFKA_BROKERS=user:canary@host:9092");
    assert_false(got.fine);
    assert_null(strstr(got.faults.bytes, "canary"));
    assert_non_null(strstr(got.faults.bytes, "\"https://api.example\""));
    assert_non_null(strstr(got.faults.bytes, "\"s3://bucket/p\""));
    const char *const told[] = {"APIMART_API_KEY_FILE",
                                "DATABASE_URL_FILE",
                                "KAFKA_CONF_SASL_PASSWORD_FILE",
                                "POLL_INTERVAL_MS: value (not shown)",
                                "LOG_FORMAT: value (not shown)",
                                "ADMIN_LISTEN: value (not shown)",
                                "KAFKA_BROKERS: value (not shown)"};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        assert_non_null(strstr(got.faults.bytes, told[i]));
    }
    done(&got);
    unlink(path);
    free(path);
}

TEST_CASE(settings_read__kafka_conf__becomes_properties)
{
    struct outcome got = READ(KEY, "KAFKA_CONF_SECURITY_PROTOCOL=SASL_SSL",
                              "KAFKA_CONF_A__B_C=1", "KAFKA_CONF_=x");
    assert_false(got.fine);
    assert_non_null(strstr(got.faults.bytes, "KAFKA_CONF_: names no property"));
    assert_int_equal(got.settings.kafka_conf_len, 2);
    assert_string_equal(got.settings.kafka_conf[0].name, "a_b.c");
    assert_string_equal(got.settings.kafka_conf[1].name, "security.protocol");
    assert_string_equal(got.settings.kafka_conf[1].value, "SASL_SSL");
    done(&got);
}

TEST_CASE(settings_read__a_near_name__is_warned_of)
{
    struct outcome got = READ(KEY, "TASK_MAX=5", "HOSTNAME=x",
                              "APIMART_BASE_URL=http://127.0.0.1:8080//");
    assert_true(got.fine);
    assert_string_equal(got.settings.apimart_base_url, "http://127.0.0.1:8080");
    assert_non_null(strstr(got.warnings.bytes, "TASK_MAX: unknown name, did "
                                               "you mean TASKS_MAX?\n"));
    assert_non_null(strstr(got.warnings.bytes, "APIMART_BASE_URL: plain http"));
    assert_null(strstr(got.warnings.bytes, "HOSTNAME"));
    done(&got);
}

TEST_CASE(setting_check__forms__tell_good_from_bad)
{
    static const struct {
        enum setting_form form;
        const char *value;
        bool fine;
    } rows[] = {
        {FORM_BROKERS, "a:9092,b:9092", true},
        {FORM_BROKERS, "SSL://a.b:9093", true},
        {FORM_BROKERS, "[::1]:9092", true},
        {FORM_BROKERS, "a:x", false},
        {FORM_BROKERS, "a,,b", false},
        {FORM_TOPIC, "pixverse.requests", true},
        {FORM_TOPIC, "a b", false},
        {FORM_TOPIC, "..", false},
        {FORM_TOPIC_OR_EMPTY, "", true},
        {FORM_BASE_URL, "https://api.apimart.ai", true},
        {FORM_BASE_URL, "https://api.apimart.ai/v2", true},
        {FORM_BASE_URL, "http://localhost:8080", true},
        {FORM_BASE_URL, "http://sim:8080", true},
        {FORM_BASE_URL, "http://sim.default.svc.cluster.local", true},
        {FORM_BASE_URL, "http://[::1]:1", true},
        {FORM_BASE_URL, "http://10.1.2.3", true},
        {FORM_BASE_URL, "http://172.32.0.1", false},
        {FORM_BASE_URL, "http://8.8.8.8", false},
        {FORM_BASE_URL, "http://2130706433", false},
        {FORM_BASE_URL, "http://example.com", false},
        {FORM_BASE_URL, "http://localhost.example.com", false},
        {FORM_BASE_URL, "https://", false},
        {FORM_BASE_URL, "https://a:99999", false},
        {FORM_BASE_URL, "https://a?b", false},
        {FORM_BASE_URL, "https://a b", false},
        {FORM_BASE_URL, "ftp://a", false},
        {FORM_STORAGE, "file:///videos", true},
        {FORM_STORAGE, "file://videos", false},
        {FORM_STORAGE, "file:///a/../b", false},
        {FORM_STORAGE, "s3://bucket", true},
        {FORM_STORAGE, "s3://bucket/a/b?region=eu&path_style=1", true},
        {FORM_STORAGE, "s3://bucket?endpoint=http://127.0.0.1:7070", true},
        {FORM_STORAGE, "s3://bucket?endpoint=http://example.com", false},
        {FORM_STORAGE, "s3://bucket?endpoint=https://s3.example.com", true},
        {FORM_STORAGE,
         "s3://bucket?endpoint=https://x.example.co/storage/v1/s3", true},
        {FORM_STORAGE, "s3://bucket?endpoint=https://x.example.co/s3/", true},
        {FORM_STORAGE, "s3://bucket?endpoint=https://x.example.co/a/../b",
         false},
        {FORM_STORAGE, "s3://bucket?endpoint=https://x.example.co/a//b", false},
        {FORM_STORAGE, "s3://bucket?endpoint=https://x.example.co/a%2520b",
         false},
        {FORM_STORAGE, "s3://bucket?path_style=yes", false},
        {FORM_STORAGE, "s3://bucket?regoin=eu", false},
        {FORM_STORAGE, "s3://bucket?region=a&region=b", false},
        {FORM_STORAGE, "s3://bucket?region=", false},
        {FORM_STORAGE, "s3://", false},
        {FORM_TEMPLATE, "{request_id}/{index}.mp4", true},
        {FORM_TEMPLATE, "{request_id}{index}", true},
        {FORM_TEMPLATE, "{request_id}", false},
        {FORM_TEMPLATE, "{request_id}/{index}/{day}", false},
        {FORM_TEMPLATE, "{request_id}/{index", false},
        {FORM_TEMPLATE, "/{request_id}/{index}", false},
        {FORM_TEMPLATE, "../{request_id}/{index}", false},
        {FORM_TEMPLATE, "a//{request_id}/{index}", false},
        {FORM_TEMPLATE, "{request_id}/{index}/", false},
        {FORM_TEMPLATE, "a b/{request_id}/{index}", false},
        {FORM_LISTEN_OR_EMPTY, "", true},
        {FORM_LISTEN_OR_EMPTY, "10.0.0.7:9464", true},
        {FORM_LISTEN_OR_EMPTY, "host", false},
        {FORM_LISTEN, "0.0.0.0:0", true},
        {FORM_LISTEN, "[::]:9464", true},
        {FORM_LISTEN, "localhost", false},
        {FORM_LISTEN, ":9464", false},
        {FORM_KEY, "sk-1", true},
        {FORM_KEY, "sk 1", false},
        {FORM_KEY, "sk\r\nX: y", false},
        {FORM_CELLS, "a=postgresql://u:p@h/d?x=y", true},
        {FORM_CELLS, " eu-1=postgres://h/d\n\tus.2=postgresql://h/d ", true},
        {FORM_CELLS, "postgresql://h/d", false},
        {FORM_CELLS, "a=host=h", false},
        {FORM_CELLS, "a=postgresql://h/d b", false},
        {FORM_CELLS, "=postgresql://h/d", false},
        {FORM_CELLS, "-a=postgresql://h/d", false},
        {FORM_CELLS, "a/b=postgresql://h/d", false},
        {FORM_CELLS, "a=postgresql://h/d a=postgresql://g/d", false},
        {FORM_CELLS, "a23456789012345678901234567890123=postgresql://h/d",
         false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct setting_verdict verdict =
            setting_check(rows[i].form, str_of(rows[i].value));
        if ((verdict.fault == NULL) != rows[i].fine) {
            fail_msg("%s: %s", rows[i].value,
                     verdict.fault ? verdict.fault : "no fault");
        }
    }
}

TEST_CASE(settings_hide_secrets__afterwards__nothing_is_left)
{
    setenv("APIMART_API_KEY", "canary", 1);
    setenv("KAFKA_CONF_SASL_PASSWORD", "canary", 1);
    setenv("TASKS_MAX", "7", 1);
    char *value = getenv("APIMART_API_KEY");
    settings_hide_secrets();
    assert_null(getenv("APIMART_API_KEY"));
    assert_null(getenv("KAFKA_CONF_SASL_PASSWORD"));
    assert_string_equal(getenv("TASKS_MAX"), "7");
    assert_int_equal(value[0], 0);
}

TEST_CASE(settings_print_help__every_name__is_there)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    settings_print_help(out);
    fclose(out);
    static const char *const names[] = {"KAFKA_BROKERS",
                                        "KAFKA_GROUP",
                                        "KAFKA_REQUEST_TOPIC",
                                        "KAFKA_EVENT_TOPIC",
                                        "KAFKA_REJECTED_TOPIC",
                                        "KAFKA_PROGRESS_TOPIC",
                                        "KAFKA_CONF_*",
                                        "DATABASE_URL",
                                        "APIMART_BASE_URL",
                                        "APIMART_API_KEY",
                                        "STORAGE_URL",
                                        "KEY_TEMPLATE",
                                        "POLL_INTERVAL_MS",
                                        "TASKS_MAX",
                                        "GENERATIONS_MAX",
                                        "GENERATIONS_MIN",
                                        "SUBMITS_MAX",
                                        "TRANSFERS_MAX",
                                        "BACKLOG_MAX",
                                        "SUBMIT_DOUBT",
                                        "SUBMIT_TIMEOUT_MS",
                                        "DEADLINE_MS",
                                        "LATE_MS",
                                        "CHAIN_WAIT_MS",
                                        "LEASE_MS",
                                        "DRAIN_MS",
                                        "ACCEPTED_EVENTS",
                                        "DOWNLOAD_PRIVATE",
                                        "VIDEO_MAX_BYTES",
                                        "ADMIN_LISTEN",
                                        "LOG_LEVEL",
                                        "LOG_FORMAT"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strstr(text, names[i])) {
            fail_msg("%s is not in the help", names[i]);
        }
    }
    free(text);
}

TEST_CASE(settings_read__tokens__are_properties_and_wiped)
{
    struct outcome got =
        READ(KEY, "KAFKA_TOKENS_FROM=file:///run/secrets/token");
    assert_true(got.fine);
    assert_int_equal(got.settings.kafka_conf_len, 3);
    assert_string_equal(got.settings.kafka_conf[0].name, "sasl.mechanism");
    assert_string_equal(got.settings.kafka_conf[1].value, "SASL_SSL");
    assert_string_equal(got.settings.kafka_conf[2].name, "tokens.from");
    done(&got);
    static const char *const taken[] = {"aws-msk-iam", "aws-msk-iam:eu-west-1"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        char line[128];
        snprintf(line, sizeof line, "KAFKA_TOKENS_FROM=%s", taken[i]);
        got = READ(KEY, line);
        assert_true(got.fine);
        done(&got);
    }
}

TEST_CASE(settings_read__no_source_of_tokens__is_not_shown)
{
    static const char *const wrong[] = {
        "eyJcanary",    "file://",         "file:///",     "/canary",
        "aws-msk-iam:", "aws-msk-iam:a b", "aws-msk-iamx", "aws"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char line[128];
        snprintf(line, sizeof line, "KAFKA_TOKENS_FROM=%s", wrong[i]);
        struct outcome got = READ(KEY, line);
        assert_false(got.fine);
        assert_non_null(
            strstr(got.faults.bytes, "KAFKA_TOKENS_FROM: value (not shown)"));
        done(&got);
    }
}

TEST_CASE(settings_read__javas_login__is_not_shown)
{
    struct outcome got =
        READ(KEY, "KAFKA_CONF_SASL_JAAS_CONFIG=password=\"canary\"");
    assert_false(got.fine);
    assert_null(strstr(got.faults.bytes, "canary"));
    assert_non_null(strstr(got.faults.bytes, "KAFKA_CONF_SASL_PASSWORD_FILE"));
    done(&got);
}

TESTS_RUN(NULL, NULL)
