#include "base/settings_check.h"
#include "lib/check.h"

static void expect(enum setting_form form, const char *value, bool good)
{
    const struct setting_verdict verdict = setting_check(form, str_of(value));
    if (!verdict.fault != good) {
        fail_msg("form %d, \"%s\": %s", form, value,
                 verdict.fault ? verdict.fault : "taken");
    }
    if (verdict.fault) {
        assert_non_null(verdict.allowed);
    }
}

TEST_CASE(setting_check__each_form__takes_what_it_names)
{
    static const struct {
        enum setting_form form;
        const char *value;
        bool good;
    } rows[] = {
        {FORM_FILLED, "x", true},
        {FORM_FILLED, "", false},
        {FORM_BROKERS, "a:9092", true},
        {FORM_BROKERS, "a:9092, b:9093", true},
        {FORM_BROKERS, "a:0", false},
        {FORM_BROKERS, "a:65536", false},
        {FORM_BROKERS, "", false},
        {FORM_TOPIC, "pixverse.requests", true},
        {FORM_TOPIC, "a b", false},
        {FORM_TOPIC, "..", false},
        {FORM_TOPIC, "", false},
        {FORM_TOPIC_OR_EMPTY, "", true},
        {FORM_BASE_URL, "https://api.apimart.ai", true},
        {FORM_BASE_URL, "http://127.0.0.1:8080/", true},
        {FORM_BASE_URL, "http://api.apimart.ai", false},
        {FORM_BASE_URL, "ftp://api.apimart.ai", false},
        {FORM_BASE_URL, "https://", false},
        {FORM_KEY, "sk-abc", true},
        {FORM_KEY, "sk abc", false},
        {FORM_KEY, "", true},
        {FORM_STORAGE, "file:///var/videos", true},
        {FORM_STORAGE, "s3://bucket/prefix", true},
        {FORM_STORAGE, "/var/videos", false},
        {FORM_TEMPLATE, "{tenant}/{request_id}/{index}.mp4", true},
        {FORM_TEMPLATE, "{index}.mp4", false},
        {FORM_TEMPLATE, "../{request_id}/{index}.mp4", false},
        {FORM_LISTEN, "127.0.0.1:9464", true},
        {FORM_LISTEN, "127.0.0.1", false},
        {FORM_LISTEN, "", false},
        {FORM_LISTEN_OR_EMPTY, "", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect(rows[i].form, rows[i].value, rows[i].good);
    }
}

TEST_CASE(host_is_private__by_its_text__as_said)
{
    static const char *const private[] = {"127.0.0.1",   "10.1.2.3",
                                          "192.168.0.1", "172.16.0.1",
                                          "localhost",   "sim",
                                          "a.internal",  "b.local",
                                          "c.svc",       "d.svc.cluster.local"};
    static const char *const public[] = {"8.8.8.8", "api.apimart.ai",
                                         "172.32.0.1", "internal.example",
                                         "127.0.0.1.example.com"};
    for (size_t i = 0; i < sizeof private / sizeof *private; i++) {
        if (!host_is_private(str_of(private[i]))) {
            fail_msg("%s is called public", private[i]);
        }
    }
    for (size_t i = 0; i < sizeof public / sizeof *public; i++) {
        if (host_is_private(str_of(public[i]))) {
            fail_msg("%s is called private", public[i]);
        }
    }
}

TESTS_RUN(NULL, NULL)
