#include "base/proxy.h"
#include "base/settings_check.h"

#include "lib/check.h"

#include <string.h>

static struct proxy proxy;

static const char *read(const char *url)
{
    return proxy_read(str_of(url), &proxy);
}

TEST_CASE(proxy_read__good_urls__are_taken_apart)
{
    static const struct {
        const char *url;
        bool secure;
        int port;
        const char *host;
        const char *name;
        const char *user;
        const char *password;
    } rows[] = {
        {"http://p:3128", false, 3128, "p", "p:3128", "", ""},
        {"http://p.example/", false, 80, "p.example", "p.example:80", "", ""},
        {"https://p.example", true, 443, "p.example", "p.example:443", "", ""},
        {"http://[::1]:8080", false, 8080, "::1", "[::1]:8080", "", ""},
        {"http://u@10.0.0.1:1", false, 1, "10.0.0.1", "10.0.0.1:1", "u", ""},
        {"http://u:p@h:65535", false, 65535, "h", "h:65535", "u", "p"},
        {"http://a%40b:c%3Ad%2F@h:1", false, 1, "h", "h:1", "a@b", "c:d/"},
        {"http://u:p@q@h:1", false, 1, "h", "h:1", "u", "p@q"},
        {"http://u:p:q@h:1", false, 1, "h", "h:1", "u", "p:q"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *fault = read(rows[i].url);
        if (fault) {
            fail_msg("%s %s", rows[i].url, fault);
        }
        assert_int_equal(proxy.secure, rows[i].secure);
        assert_int_equal(proxy.port, rows[i].port);
        assert_string_equal(proxy.host, rows[i].host);
        assert_string_equal(proxy.name, rows[i].name);
        assert_string_equal(proxy.user, rows[i].user);
        assert_string_equal(proxy.password, rows[i].password);
    }
}

TEST_CASE(proxy_read__bad_urls__are_refused_and_keep_no_secret)
{
    static const char *const urls[] = {
        "p:3128",         "socks5://p:1",     "http://",
        "http://p:0",     "http://p:65536",   "http://p:x",
        "http://p:",      "http://:3128",     "http://secret:secret@",
        "http://p/path",  "http://p?x",       "http://p#x",
        "http://[::1",    "http://[::1]x",    "http://::1:80",
        "http://[p]:80",  "http://a b:1",     "http://:secret@h:1",
        "http://%zz@h:1", "http://%4@h:1",    "http://u%0a:secret@h:1",
        "http://u:%00@h", "http://a%3Ab:c@h", "http://h:-1",
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        if (!read(urls[i])) {
            fail_msg("%s is taken", urls[i]);
        }
        assert_null(memmem(&proxy, sizeof proxy, "secret", 6));
    }
}

TEST_CASE(proxy_of__nothing__is_none)
{
    assert_null(proxy_of(&proxy, "", "", ""));
    assert_false(proxy_leads_to(NULL, STR("h")));
    assert_ptr_equal(proxy_of(&proxy, "http://p:1", "a", "/c.pem"), &proxy);
    assert_string_equal(proxy.ca_file, "/c.pem");
    assert_ptr_equal(proxy_of(&proxy, "http://p:1", "a", ""), &proxy);
    assert_null(proxy.ca_file);
}

TEST_CASE(proxy_leads_to__hosts__but_those_excepted)
{
    static const struct {
        const char *except;
        const char *host;
        bool leads;
    } rows[] = {
        {"", "h", true},
        {" , ,", "h", true},
        {"example.com", "example.com", false},
        {"example.com", "EXAMPLE.com.", false},
        {"example.com", "s3.example.com", false},
        {".example.com", "s3.example.com", false},
        {".example.com", "example.com", false},
        {"example.com", "badexample.com", true},
        {"example.com", "example.com.evil.org", true},
        {"a, b ,c", "b", false},
        {"10.0.0.0/8", "10.200.1.2", false},
        {"10.0.0.0/8", "11.0.0.1", true},
        {"10.0.0.128/25", "10.0.0.127", true},
        {"10.0.0.128/25", "10.0.0.129", false},
        {"0.0.0.0/0", "1.2.3.4", false},
        {"0.0.0.0/0", "::1", true},
        {"0.0.0.0/0", "name", true},
        {"127.0.0.1", "127.0.0.1", false},
        {"127.0.0.1", "127.0.0.2", true},
        {"::1", "[::1]", false},
        {"[::1]", "::1", false},
        {"fd00::/8", "[fd12::1]", false},
        {"fd00::/8", "[fe80::1]", true},
        {"0.0.1", "10.0.0.1", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_null(proxy_list_fault(str_of(rows[i].except)));
        proxy_of(&proxy, "http://p:1", rows[i].except, "");
        if (proxy_leads_to(&proxy, str_of(rows[i].host)) != rows[i].leads) {
            fail_msg("\"%s\": %s", rows[i].except, rows[i].host);
        }
    }
}

TEST_CASE(proxy_list_fault__what_is_no_host__is_told)
{
    static const char *const lists[] = {"a b", "10.0.0.0/33", "fd00::/129",
                                        "a,*", "http://h",    "h:80",
                                        "h/8", ".",           "10.0.0.0/x"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (!proxy_list_fault(str_of(lists[i]))) {
            fail_msg("%s is taken", lists[i]);
        }
    }
}

TEST_CASE(proxy_host_of__urls)
{
    static const char *const rows[][2] = {
        {"https://h/p", "h"},          {"http://h:8/p?q", "h"},
        {"https://[::1]:8/", "[::1]"}, {"https://u:p@h?x@y", "h"},
        {"https://h#@x", "h"},         {"https://h", "h"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct str host = proxy_host_of(str_of(rows[i][0]));
        assert_int_equal(host.len, strlen(rows[i][1]));
        assert_memory_equal(host.at, rows[i][1], host.len);
    }
    assert_null(proxy_host_of(STR("h")).at);
}

TEST_CASE(proxy_add_credentials__any_length__is_padded)
{
    static const char *const rows[][2] = {
        {"http://a:b@h", "Basic YTpi"},
        {"http://a:bc@h", "Basic YTpiYw=="},
        {"http://ab:cd@h", "Basic YWI6Y2Q="},
        {"http://a@h", "Basic YTo="},
        {"http://%C3%BC:%7f%21@h", NULL},
        {"http://%C3%BC:~@h", "Basic w7w6fg=="},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 0);
        if (!rows[i][1]) {
            assert_non_null(read(rows[i][0]));
            continue;
        }
        assert_null(read(rows[i][0]));
        proxy_add_credentials(&proxy, &out);
        assert_int_equal(out.len, strlen(rows[i][1]));
        assert_memory_equal(out.bytes, rows[i][1], out.len);
        buf_done(&out);
    }
}

TEST_CASE(setting_check__a_file__is_an_absolute_path)
{
    assert_null(setting_check(FORM_FILE_OR_EMPTY, STR("")).fault);
    assert_null(setting_check(FORM_FILE_OR_EMPTY, STR("/etc/ca.pem")).fault);
    assert_non_null(setting_check(FORM_FILE_OR_EMPTY, STR("ca.pem")).fault);
    assert_non_null(setting_check(FORM_FILE_OR_EMPTY, STR("/a\nb")).fault);
}

TESTS_RUN(NULL, NULL)
