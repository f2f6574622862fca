/* The guard of a command, without the command: its file is taken in whole, and
 * what it asks of others is here. */
#include "../../cmd/pixverse-ctl/console_guard.c"

#include "lib/check.h"

/** One question: its headers, as the browser sends them. */
struct visit {
    const char *host;
    const char *origin;
    const char *site;
    const char *type;
    const char *own; /* X-Pixverse-Console */
    const char *authorization;
    const char *cookie;
};

static const struct visit *visit;
static int refused; /* with that status; 0: it was not */

const char *page_header(const struct page_ask *ask, const char *name)
{
    const struct {
        const char *name;
        const char *value;
    } headers[] = {
        {"Host", visit->host},
        {"Origin", visit->origin},
        {"Sec-Fetch-Site", visit->site},
        {"Content-Type", visit->type},
        {"X-Pixverse-Console", visit->own},
        {"Authorization", visit->authorization},
    };
    (void)ask;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        if (strcmp(headers[i].name, name) == 0) {
            return headers[i].value;
        }
    }
    return NULL;
}

const char *page_cookie(const struct page_ask *ask, const char *name)
{
    (void)ask;
    return strcmp(name, COOKIE) == 0 ? visit->cookie : NULL;
}

void console_refuse(struct page_answer *answer, int status, const char *format,
                    ...)
{
    (void)format;
    answer->status = status;
    refused = status;
}

int ctl_usage(const char *command, const char *format, ...)
{
    (void)command;
    (void)format;
    return EXIT_USAGE;
}

const char *row_text(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

/** What a visit is answered with; 200: it is let in. */
static int ask_as(struct console *console, const struct visit *as,
                  const char *method, const char *path)
{
    const struct page_ask ask = {.method = method, .path = path, .from = "::1"};
    struct page_answer answer = {.status = 200};
    visit = as;
    refused = 0;
    const bool in = guard_lets_in(console, &ask, &answer);
    assert_int_equal(in, refused == 0);
    return in ? 200 : refused;
}

TEST_CASE(guard__asked_under_a_name__knows_its_own)
{
    static const char *const names[] = {"console.example"};
    static struct console console;
    static const struct {
        const char *host;
        int status;
    } rows[] = {
        {"127.0.0.1:8088", 200},
        {"192.0.2.7", 200},
        {"localhost:8088", 200},
        {"LOCALHOST", 200},
        {"[::1]:8088", 200},
        {"console.example", 200},
        {"Console.Example:443", 200},
        {"evil.example", 421},
        {"localhost.evil.example", 421},
        {"127.0.0.1.evil.example", 421},
        {"console.example.evil.example", 421},
        {"xlocalhost", 421},
        {"[evil]", 421},
        {"[::1", 421},
        {"", 421},
        {NULL, 421},
    };
    console.hosts[0] = names[0];
    console.hosts_len = 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct visit as = {.host = rows[i].host};
        assert_int_equal(ask_as(&console, &as, "GET", "/"), rows[i].status);
        assert_int_equal(ask_as(&console, &as, "GET", "/api/list"),
                         rows[i].status);
    }
}

TEST_CASE(guard__asked_by_another_site__answers_nothing)
{
    static struct console console;
    static const struct {
        struct visit as;
        int get;
        int post;
    } rows[] = {
        {{"localhost:1", "http://localhost:1", "same-origin",
          "application/json", "1", NULL, NULL},
         200,
         200},
        {{"localhost:1", "https://localhost:1", NULL,
          "application/json; charset=utf-8", "1", NULL, NULL},
         200,
         200},
        {{"localhost:1", NULL, "none", "application/json", "1", NULL, NULL},
         200,
         200},
        {{"localhost:1", "http://localhost:2", NULL, "application/json", "1",
          NULL, NULL},
         403,
         403},
        {{"localhost:1", "http://evil.example", NULL, "application/json", "1",
          NULL, NULL},
         403,
         403},
        {{"localhost:1", "null", NULL, "application/json", "1", NULL, NULL},
         403,
         403},
        {{"localhost:1", NULL, "cross-site", "application/json", "1", NULL,
          NULL},
         403,
         403},
        {{"localhost:1", NULL, "same-site", "application/json", "1", NULL,
          NULL},
         403,
         403},
        {{"localhost:1", NULL, NULL, "text/plain", "1", NULL, NULL}, 200, 403},
        {{"localhost:1", NULL, NULL, NULL, "1", NULL, NULL}, 200, 403},
        {{"localhost:1", NULL, NULL, "application/json", NULL, NULL, NULL},
         200,
         403},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(ask_as(&console, &rows[i].as, "GET", "/api/show"),
                         rows[i].get);
        assert_int_equal(ask_as(&console, &rows[i].as, "POST", "/api/order"),
                         rows[i].post);
        assert_int_equal(ask_as(&console, &rows[i].as, "POST", "/api/login"),
                         rows[i].post);
    }
}

TEST_CASE(guard__with_a_token__wants_it_or_a_session_for_all_that_tells)
{
    static struct console console;
    char token[] = "0123456789abcdef";
    console.token = token;
    pthread_mutex_init(&console.lock, NULL);
    struct visit as = {.host = "localhost"};
    assert_int_equal(ask_as(&console, &as, "GET", "/"), 200);
    assert_int_equal(ask_as(&console, &as, "GET", "/api/overview"), 401);
    assert_int_equal(ask_as(&console, &as, "GET", "/api/loginx"), 401);
    as.authorization = "Bearer 0123456789abcdef";
    assert_int_equal(ask_as(&console, &as, "GET", "/api/overview"), 200);
    static const char *const wrong[] = {
        "Bearer 0123456789abcdeF",  "Bearer 0123456789abcde",
        "Bearer 0123456789abcdef0", "Bearer ",
        "Basic 0123456789abcdef",   "Bearer 0123456789abcdef0123456789abcdef"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        as.authorization = wrong[i];
        assert_int_equal(ask_as(&console, &as, "GET", "/api/video"), 401);
    }
    char session[SESSION_BYTES];
    char other[SESSION_BYTES];
    assert_true(new_session(&console, session));
    assert_true(new_session(&console, other));
    as.authorization = NULL;
    as.cookie = session;
    assert_int_equal(ask_as(&console, &as, "GET", "/api/list"), 200);
    as.cookie = "";
    assert_int_equal(ask_as(&console, &as, "GET", "/api/list"), 401);
    as.cookie = session;
    const struct page_ask ask = {.method = "POST", .path = "/api/logout"};
    assert_true(has_session(&console, &ask, true)); /* it ends */
    assert_int_equal(ask_as(&console, &as, "GET", "/api/list"), 401);
    as.cookie = other;
    assert_int_equal(ask_as(&console, &as, "GET", "/api/list"), 200);
    pthread_mutex_destroy(&console.lock);
}

TEST_CASE(guard__listening__knows_what_is_this_machine_alone)
{
    static const struct {
        const char *listen;
        bool loopback;
    } rows[] = {
        {"127.0.0.1:8088", true},  {"127.9.9.9:1", true},
        {"localhost:0", true},     {"[::1]:8088", true},
        {"0.0.0.0:8088", false},   {"[::]:8088", false},
        {"192.0.2.7:8088", false}, {"localhost.evil:1", false},
        {":8088", false},          {"127.0.0.1.evil:1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(guard_is_loopback(rows[i].listen), rows[i].loopback);
    }
}

TESTS_RUN(NULL, NULL)
