#include "core/tunnel.h"

#include "lib/check.h"

#include <string.h>

static struct proxy proxy;

static void asks(const char *url, const char *text)
{
    struct buf out;
    buf_init(&out, 0);
    proxy_of(&proxy, url, "", "");
    tunnel_ask(&proxy, STR("h.example:443"), &out);
    assert_int_equal(out.len, strlen(text));
    assert_memory_equal(out.bytes, text, out.len);
    buf_done(&out);
}

TEST_CASE(tunnel_ask__with_and_without_credentials)
{
    asks("http://p:1",
         "CONNECT h.example:443 HTTP/1.1\r\n"
         "Host: h.example:443\r\n"
         "User-Agent: pixverse-worker/" PROGRAM_VERSION "\r\n\r\n");
    asks("http://a:b@p:1", "CONNECT h.example:443 HTTP/1.1\r\n"
                           "Host: h.example:443\r\n"
                           "User-Agent: pixverse-worker/" PROGRAM_VERSION
                           "\r\nProxy-Authorization: Basic YTpi\r\n\r\n");
}

TEST_CASE(tunnel_read__answers__are_told_apart)
{
    static const struct {
        const char *bytes;
        enum tunnel_read read;
        int status;
    } rows[] = {
        {"", TUNNEL_MORE, 0},
        {"HTT", TUNNEL_MORE, 0},
        {"HTTP/1.1 200 OK\r\n", TUNNEL_MORE, 0},
        {"HTTP/1.1 200 OK\r\n\r\n", TUNNEL_OPEN, 200},
        {"HTTP/1.0 200\r\nA: b\r\n\r\n", TUNNEL_OPEN, 200},
        {"HTTP/1.0 200 OK\nA: b\n\n", TUNNEL_OPEN, 200},
        {"HTTP/1.1 200 OK\n\r\n", TUNNEL_OPEN, 200},
        {"HTTP/1.1 200 OK\nA: b\n", TUNNEL_MORE, 0},
        {"HTTP/1.1 299 x\r\nContent-Length: 9\r\n\r\n", TUNNEL_OPEN, 299},
        {"HTTP/1.1 200 OK\r\n\r\nx", TUNNEL_BROKEN, 200},
        {"HTTP/1.1 100 Go on\r\n\r\n", TUNNEL_MORE, 100},
        {"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", TUNNEL_OPEN, 200},
        {"HTTP/1.1 101 Switch\r\n\r\n", TUNNEL_BROKEN, 101},
        {"HTTP/1.1 407 No\r\n\r\n", TUNNEL_REFUSED, 407},
        {"HTTP/1.1 502 No\r\nContent-Length: 2\r\n\r\nno", TUNNEL_REFUSED, 502},
        {"HTTP/1.1 302 x\r\n\r\n", TUNNEL_REFUSED, 302},
        {"HTTP/1.1 20 OK\r\n\r\n", TUNNEL_BROKEN, 0},
        {"HTTP/1.1 2000\r\n\r\n", TUNNEL_BROKEN, 0},
        {"HTTP/1.1 -20 \r\n\r\n", TUNNEL_BROKEN, 0},
        {"HTTP/2 200\r\n\r\n", TUNNEL_BROKEN, 0},
        {"SSH-2.0", TUNNEL_BROKEN, 0},
        {"\x16\x03\x01", TUNNEL_BROKEN, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status = 0;
        if (tunnel_read(str_of(rows[i].bytes), &status) != rows[i].read) {
            fail_msg("\"%s\"", rows[i].bytes);
        }
        assert_int_equal(status, rows[i].status);
    }
}

TEST_CASE(tunnel_read__an_answer_without_end__is_broken)
{
    static char bytes[TUNNEL_HEAD_BYTES_MAX];
    int status = 0;
    memset(bytes, 'a', sizeof bytes);
    memcpy(bytes, "HTTP/1.1 200 OK\r\nA: ", 20);
    assert_int_equal(
        tunnel_read((struct str){bytes, sizeof bytes - 1}, &status),
        TUNNEL_MORE);
    assert_int_equal(tunnel_read((struct str){bytes, sizeof bytes}, &status),
                     TUNNEL_BROKEN);
}

static void says(const char *url, int status, const char *words)
{
    char out[160];
    proxy_of(&proxy, url, "", "");
    tunnel_words(&proxy, STR("h.example:443"), status, out, sizeof out);
    if (!strstr(out, words) || strstr(out, "secret")) {
        fail_msg("%d: %s", status, out);
    }
}

TEST_CASE(tunnel_words__each_kind__says_what_to_do)
{
    says("http://p:1", 407, "the user or password in PROXY_URL is missing");
    says("http://u:secret@p:1", 407, "in PROXY_URL is wrong");
    says("http://u:secret@p:1", 401, "in PROXY_URL is wrong");
    says("http://u:secret@p:1", 403,
         "the proxy p:1 doesn't lead to h.example:443: it answers 403");
    says("http://p:1", 504, "can't reach h.example:443: it answers 504");
    says("http://p:1", 302, "it answers 302");
}

TESTS_RUN(NULL, NULL)
