#include <string.h>

#include "lib/check.h"
#include "core/address.h"
#include "core/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

TEST_CASE(url_judge__ipv6_texts__are_read_as_the_library_reads_them)
{
    /* Random texts of likely signs: whatever inet_pton() takes and calls
     * private must not pass, and what it refuses must not pass either. */
    static const char *const signs[] = {":",    "::",      "0",        "1",
                                        "ffff", "2606",    "a",        "7f",
                                        ".",    "8.8.8.8", "127.0.0.1"};
    uint32_t seed = 12345;
    int taken = 0;
    for (int turn = 0; turn < 200000; turn++) {
        char text[200] = "";
        int parts = 1 + turn % 17;
        for (int i = 0; i < parts; i++) {
            seed = seed * 1664525u + 1013904223u;
            strcat(text, signs[(seed >> 10) % 11]);
            if (turn % 3 && i + 1 < parts) {
                strcat(text, ":");
            }
        }
        char url[240];
        unsigned char ip[16];
        snprintf(url, sizeof url, "http://[%s]/", text);
        const char *why = NULL;
        enum url_fault got = url_judge(str_of(url), &why);
        enum url_fault wanted = inet_pton(AF_INET6, text, ip) != 1 ? URL_BAD
                                : address_is_public(6, ip)         ? URL_FINE
                                                           : URL_PRIVATE;
        taken += wanted != URL_BAD;
        if (got != wanted) {
            fail_msg("%s: %d, not %d", url, (int)got, (int)wanted);
        }
    }
    assert_true(taken > 100);
}

TEST_CASE(url_judge__ipv4_in_any_writing__is_seen_through)
{
    uint32_t seed = 99;
    for (int turn = 0; turn < 20000; turn++) {
        seed = seed * 1664525u + 1013904223u;
        /* half of them in 127/8, 10/8 or 192.168/16 */
        static const uint32_t closed[] = {0x7f000000, 0x0a000000, 0xc0a80000};
        uint32_t ip = turn % 2 ? closed[turn % 3] | (seed >> 16) : seed;
        unsigned char bytes[4] = {(unsigned char)(ip >> 24),
                                  (unsigned char)(ip >> 16),
                                  (unsigned char)(ip >> 8), (unsigned char)ip};
        char urls[6][100];
        snprintf(urls[0], 100, "http://%u/", ip);
        snprintf(urls[1], 100, "http://0x%x/", ip);
        snprintf(urls[2], 100, "http://0%o/", ip);
        snprintf(urls[3], 100, "http://%u.%u/", ip >> 24, ip & 0xffffff);
        snprintf(urls[4], 100, "http://0x%X.%u.0%o/", ip >> 24,
                 (ip >> 16) & 255, ip & 0xffff);
        snprintf(urls[5], 100, "http://%u.%u.%u.%u./", bytes[0], bytes[1],
                 bytes[2], bytes[3]);
        for (int i = 0; i < 6; i++) {
            const char *why = NULL;
            enum url_fault got = url_judge(str_of(urls[i]), &why);
            if (!address_is_public(4, bytes) ? got != URL_PRIVATE
                                             : got == URL_FINE && i != 5) {
                fail_msg("%s: %d", urls[i], (int)got);
            }
        }
    }
}

TEST_CASE(url_ascii_host__any_script__as_browsers_write_it)
{
    static const struct {
        const char *url;
        const char *ascii; /* null: none, or not certain */
        enum url_fault fault;
    } rows[] = {
        {"https://b\xc3\xbc"
         "cher.example.com/a.png",
         "xn--bcher-kva.example.com", URL_BAD},
        {"https://B\xc3\x9c"
         "CHER.Example.com:8443?a",
         "xn--bcher-kva.example.com", URL_BAD},
        {"https://bu\xcc\x88"
         "cher.example.com",
         "xn--bcher-kva.example.com", URL_BAD}, /* the mark behind its letter */
        {"https://b%C3%BCcher.example.com/", "xn--bcher-kva.example.com",
         URL_BAD},
        {"http://stra\xc3\x9f"
         "e.de/",
         "xn--strae-oqa.de", URL_BAD},
        {"http://\xe4\xbe\x8b\xe3\x81\x88\xe3\x80\x82"
         "\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88/a",
         "xn--r8jz45g.xn--zckzah", URL_BAD}, /* an ideographic full stop */
        {"http://\xd0\x9f\xd1\x80\xd0\xb8\xd0\xbc\xd0\xb5\xd1\x80."
         "\xd1\x80\xd1\x84./",
         "xn--e1afmkfd.xn--p1ai.", URL_BAD},
        {"http://ex\xef\xbd\x81mple\xef\xbc\x8e"
         "com/",
         "example.com", URL_BAD}, /* full-width letters and dots */
        {"http://l\xef\xbd\x8f"
         "calhost/",
         "localhost", URL_PRIVATE},
        {"http://127\xe3\x80\x82"
         "0\xef\xbd\xa1"
         "0.1/",
         "127.0.0.1", URL_PRIVATE},
        {"http://\xf0\x9f\x92\xa9.la/", NULL, URL_BAD}, /* no letter */
        {"http://e\xcc\xb4.com/", NULL, URL_BAD},       /* an odd mark */
        {"http://\xc4\xb0.com/", NULL, URL_BAD},
        {"http://\xc3\xbc..com/", NULL, URL_BAD},
        {"http://u@\xc3\xbc.com/", NULL, URL_BAD},
        {"http://\xc3\xbc\xff.com/", NULL, URL_BAD},
        {"http://example.com/\xc3\xbc", NULL, URL_FINE},
        {"ftp://\xc3\xbc.com/", NULL, URL_BAD},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char host[URL_HOST_BYTES] = "";
        const char *why = NULL;
        const struct str url = str_of(rows[i].url);
        const bool is = url_ascii_host(url, host);
        if (url_judge(url, &why) != rows[i].fault || is != !!rows[i].ascii ||
            strcmp(host, rows[i].ascii ? rows[i].ascii : "") != 0) {
            fail_msg("%s: %s, %s", rows[i].url, host, why);
        }
    }
}

/** Labels of 63 bytes and names of 253 are the longest that there are. */
TEST_CASE(url_ascii_host__too_long__has_none)
{
    for (size_t len = 50; len < 70; len++) {
        char url[256] = "http://\xc3\xbc";
        char host[URL_HOST_BYTES] = "";
        memset(url + strlen(url), 'a', len);
        strcat(url, ".com/");
        const bool is = url_ascii_host(str_of(url), host);
        assert_true(!is || strcspn(host, ".") <= 63);
        assert_int_equal(is, strlen("xn--") + len + strlen("-eta") <= 63);
    }
    char url[2048] = "http://";
    char host[URL_HOST_BYTES] = "";
    for (int i = 0; i < 60; i++) {
        strcat(url, "\xc3\xbc"
                    "bel.");
    }
    assert_false(url_ascii_host(str_of(url), host));
}

TEST_CASE(url_judge__random_bytes__never_harm)
{
    static const char signs[] = "htps:/@.[]%0x19afFcom-?#:\\ \xc3\xa9";
    uint32_t seed = 4;
    for (int turn = 0; turn < 200000; turn++) {
        char text[64] = "http://";
        size_t len = 7 + (size_t)turn % 40;
        for (size_t i = turn % 5 ? 7 : 0; i < len; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = signs[(seed >> 12) % (sizeof signs - 1)];
        }
        char *exact = memcpy(malloc(len), text, len);
        const char *why = NULL;
        enum url_fault got = url_judge((struct str){exact, len}, &why);
        assert_true(got == URL_FINE || why);
        free(exact);
    }
    const char *why = NULL;
    assert_int_equal(url_judge((struct str){0}, &why), URL_BAD);
}

TESTS_RUN(NULL, NULL)
