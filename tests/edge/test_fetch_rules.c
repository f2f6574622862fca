/**
 * Which hosts a download may speak to. The test has a network of its own, where
 * public, private and link-local addresses are all this machine's: behind each
 * closed one something listens and would see any connection.
 */

#include "edge/fetch_trial.h"
#include "edge/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#define PUBLIC "9.9.9.9"
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Closed, and listening on port 443. */
static const char *const closed_hosts[] = {
    "127.0.0.1",       "127.66.0.1", "10.1.2.3",   "172.16.5.5", "192.168.7.7",
    "169.254.169.254", "100.64.0.1", "198.18.0.1", "::1",        "fd00::1",
};

/* clang-format off */
static const char *const forbidden[] = {
    /* schemes, ports, users */
    "http://" PUBLIC "/ok",
    "https://" PUBLIC ":8443/ok",
    "https://" PUBLIC ":80/ok",
    "ftp://" PUBLIC "/ok",
    "file:///etc/passwd",
    "gopher://" PUBLIC "/",
    "dict://127.0.0.1:11211/stat",
    "https://user@" PUBLIC "/ok",
    "https://user:word@" PUBLIC "/ok",
    "https://:word@" PUBLIC "/ok",
    "https://" PUBLIC "@127.0.0.1/",
    /* loopback, however it is written */
    "https://127.0.0.1/",
    "https://127.66.0.1/v.mp4",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://localhost/",
    "HTTPS://LOCALHOST/",
    "https://127.0.0.1:443/",
    "https://127.0.0.1?@" PUBLIC "/",
    "https://127.0.0.1#@" PUBLIC "/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    /* private and shared */
    "https://10.1.2.3/",
    "https://167838211/",
    "https://172.16.5.5/",
    "https://192.168.7.7/",
    "https://192.168.1799/",
    "https://100.64.0.1/",
    "https://198.18.0.1/",
    "https://[fd00::1]/",
    "https://[::ffff:10.1.2.3]/",
    /* link-local and metadata */
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://[::ffff:169.254.169.254]/",
    "https://[fe80::1]/",
    /* nobody's */
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[ff02::1]/",
};

/* Even where private hosts are allowed. */
static const char *const always_forbidden[] = {
    "https://169.254.169.254/",
    "http://169.254.169.254/",
    "http://169.254.169.254:80/",
    "http://0xa9fea9fe/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fe80::1]/",
    "http://user@127.0.0.1/",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
};
/* clang-format on */

static int listeners[COUNT(closed_hosts)];
static struct tls tls;

/* ---- a network of our own ---- */

static bool add_address(int alias, const char *host)
{
    struct ifreq request = {0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    snprintf(request.ifr_name, sizeof request.ifr_name, "lo:%d", alias);
    inet_pton(AF_INET, host, &address.sin_addr);
    memcpy(&request.ifr_addr, &address, sizeof address);
    bool added = ioctl(fd, SIOCSIFADDR, &request) == 0;
    close(fd);
    return added;
}

static void add_address6(const char *host)
{
    struct in6_ifreq request = {.ifr6_prefixlen = 128};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    request.ifr6_ifindex = (int)if_nametoindex("lo");
    inet_pton(AF_INET6, host, &request.ifr6_addr);
    if (fd >= 0) {
        ioctl(fd, SIOCSIFADDR, &request);
        close(fd);
    }
}

static void become_root(unsigned user)
{
    FILE *map = fopen("/proc/self/uid_map", "w");
    if (map) {
        fprintf(map, "0 %u 1\n", user);
        fclose(map);
    }
}

static bool own_network(void)
{
    unsigned user = (unsigned)getuid();
    if (unshare(CLONE_NEWNET) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
            return false;
        }
        become_root(user); /* of this network alone */
    }
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    bool up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    close(fd);
    for (size_t i = 0; up && i < COUNT(closed_hosts); i++) {
        if (strchr(closed_hosts[i], ':')) {
            add_address6(closed_hosts[i]);
        } else if (strncmp(closed_hosts[i], "127.", 4) != 0) {
            up = add_address((int)i, closed_hosts[i]);
        }
    }
    return up && add_address(COUNT(closed_hosts), PUBLIC);
}

/** -1: the machine has no such address, IPv6 for instance. */
static int listen_at(const char *host)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons(443)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(443)};
    bool six = inet_pton(AF_INET6, host, &in6.sin6_addr) == 1;
    inet_pton(AF_INET, host, &in.sin_addr);
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    struct sockaddr *address = six ? (void *)&in6 : (void *)&in;
    if (fd < 0 || bind(fd, address, six ? sizeof in6 : sizeof in) != 0 ||
        listen(fd, 16) != 0) {
        close(fd);
        return -1;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/** How many connections came to closed hosts since the last call. */
static int visits(void)
{
    int n = 0;
    for (size_t i = 0; i < COUNT(listeners); i++) {
        int fd;
        while (listeners[i] >= 0 &&
               (fd = accept(listeners[i], NULL, NULL)) >= 0) {
            close(fd);
            n++;
        }
    }
    return n;
}

static void write_reply(const char *name, const char *format, const char *value)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", tls.folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "HTTP/1.1 ");
    if (strcmp(format, "redirect") == 0) {
        fprintf(file, "302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
                value);
    } else {
        fprintf(file, "200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(value),
                value);
    }
    fclose(file);
}

static int group_setup(void **state)
{
    (void)state;
    char name[32];
    if (!tls_start(&tls, PUBLIC, 443, "-HTTP")) {
        return -1;
    }
    write_reply("ok", "body", "video");
    write_reply("to-ok", "redirect", "/ok");
    for (size_t i = 0; i < COUNT(forbidden); i++) {
        snprintf(name, sizeof name, "r%zu", i);
        write_reply(name, "redirect", forbidden[i]);
    }
    write_reply("relative", "redirect", "//127.66.0.1/");
    for (size_t i = 0; i < COUNT(closed_hosts); i++) {
        listeners[i] = listen_at(closed_hosts[i]);
    }
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(listeners); i++) {
        if (listeners[i] >= 0) {
            close(listeners[i]);
        }
    }
    tls_stop(&tls);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_fetcher();
    loop_close(loop);
    return 0;
}

/* ---- the rules ---- */

/** Refused at the start, or ended as forbidden. */
static void assert_forbidden(const char *url)
{
    struct err err = {0};
    struct seen seen = {0};
    seen.fetch =
        fetch_start(fetcher, str_of(url), 2000, 2000, &hooks, &seen, &err);
    if (!seen.fetch) {
        assert_int_equal(err.kind, ERR_PERMANENT);
        return;
    }
    wait_for(ended + 1);
    if (!seen.end.forbidden || seen.bytes) {
        fail_msg("%s was not forbidden: end %d, status %d, %s", url,
                 (int)seen.end.end, seen.end.status, seen.end.why);
    }
}

TEST(fetch_start__public_host__is_fine)
{
    struct seen seen[3] = {0};
    open_fetcher(false, MIB, tls.cert);
    start(&seen[0], "https://" PUBLIC "/ok");
    wait_for(1);
    start(&seen[1], "https://" PUBLIC ":443/ok");
    wait_for(2);
    start(&seen[2], "https://" PUBLIC "/to-ok");
    wait_for(3);
    for (int i = 0; i < 3; i++) {
        if (seen[i].end.end != REPLY_WHOLE) {
            fail_msg("%d: %s", i, seen[i].end.why);
        }
        assert_string_equal(seen[i].start, "video");
    }
}

TEST(fetch_start__closed_hosts__are_never_visited)
{
    open_fetcher(false, MIB, tls.cert);
    visits();
    for (size_t i = 0; i < COUNT(forbidden); i++) {
        assert_forbidden(forbidden[i]);
        if (visits() != 0) {
            fail_msg("%s was visited", forbidden[i]);
        }
    }
}

TEST(fetch_start__redirect_to_a_closed_host__is_not_followed)
{
    char url[64];
    open_fetcher(false, MIB, tls.cert);
    visits();
    for (size_t i = 0; i < COUNT(forbidden); i++) {
        struct seen seen = {0};
        snprintf(url, sizeof url, "https://" PUBLIC "/r%zu", i);
        start(&seen, url);
        wait_for(ended + 1);
        if (!seen.end.forbidden || seen.bytes || seen.heads) {
            fail_msg("a redirect to %s: end %d, status %d, %s", forbidden[i],
                     (int)seen.end.end, seen.end.status, seen.end.why);
        }
        if (visits() != 0) {
            fail_msg("%s was visited", forbidden[i]);
        }
    }
    assert_forbidden("https://" PUBLIC "/relative");
    assert_int_equal(visits(), 0);
}

TEST(fetch_start__private_allowed__goes_there)
{
    open_fetcher(true, MIB, tls.cert);
    visits();
    struct seen seen[2] = {0};
    start_with(&seen[0], "https://10.1.2.3/", 1000, 5000);
    start_with(&seen[1], "https://127.66.0.1/", 1000, 5000);
    wait_for(2);
    /* They listen and say nothing: the first has shown that visits show. */
    assert_int_equal(visits(), 2);
    assert_false(seen[0].end.forbidden);
    assert_int_equal(seen[0].end.end, REPLY_TIMED_OUT);
}

TEST(fetch_start__private_allowed__link_local_stays_closed)
{
    open_fetcher(true, MIB, tls.cert);
    visits();
    for (size_t i = 0; i < COUNT(always_forbidden); i++) {
        assert_forbidden(always_forbidden[i]);
        assert_int_equal(visits(), 0);
    }
}

TEST(fetch_start__what_is_no_url__is_refused)
{
    open_fetcher(true, MIB, NULL);
    assert_refused("");
    assert_refused(" \n");
    assert_refused("127.0.0.1");
    assert_refused("https://");
    assert_refused("http://127.0.0.1 /");
    assert_refused("http://127.0.0.1\r\n X: y/");
    assert_refused("http://127.0.0.1:99999/");
    assert_refused("http://[::1/");
    assert_refused("//127.0.0.1/");
    assert_refused("javascript:alert(1)");
    struct err err = {0};
    struct seen seen = {0};
    assert_null(fetch_start(fetcher, STR("http://127.0.0.1/\0/x"), 1000, 1000,
                            &hooks, &seen, &err));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (!own_network()) {
        printf("1..0 # SKIP no network namespace here: %s\n", strerror(errno));
        return 0;
    }
    return TESTS_RESULT(group_setup, group_teardown);
}
