#include "edge/pg/url.h"
#include "edge/database.h"
#include "edge/schema.h"

#include "lib/check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Connection strings with CANARY in whatever piece of them is at fault: what is
 * said names the fault and never holds the word. The good ones show that
 * nothing is refused which libpq can use.
 */

#define GOOD(name) "postgresql://app:" name "@127.0.0.1:5432/pixverse"

static const char *const good[] = {
    "postgresql:///pixverse",
    "postgres://",
    "postgresql://localhost",
    GOOD("secret"),
    GOOD("p%25q%40r%2Fs%3At%20u"),
    GOOD("a:b?c#d&e,f'g\"h"),
    "postgresql://u@[::1]:5433/d?sslmode=verify-full&connect_timeout=3",
    "postgresql://u@[fe80::1%25eth0]/d",
    "postgresql://a.example:1,b.example:2/d?target_session_attrs=primary",
    "postgresql://a,b:7/d?load_balance_hosts=disable",
    "postgresql://%2Frun%2Fpostgresql/d",
    "postgresql:///d?host=/run/postgresql&password=a@b/c:d",
    "postgresql://h/d%40e?application_name=x%3Dy",
    "host=127.0.0.1 port=1 dbname=x",
    "host = '127.0.0.1'  port = 5432\n dbname = d",
    "host=/run/postgresql dbname=d",
    "host=@abstract dbname=d",
    "hostaddr=127.0.0.1,::1 host=a,b port=5432,",
    "password='it\\'s \\\\ a' host=h user=u",
    "dbname=a@b password=x@y://z",
    "service=somewhere",
    "sslmode=REQUIRE host=h",
    "host=my_host-1.example keepalives=0 tcp_user_timeout=0",
    "options='-c search_path=x' host=h",
};

static const struct bad {
    const char *url;
    const char *says;
} bad[] = {
    {"", "is empty"},
    {" postgresql://u:CANARY@h/d", "white space"},
    {"postgresql://u:CANARY@h/d\n", "white space"},
    {"\"postgresql://u:CANARY@h/d\"", "quote"},
    {"'host=h password=CANARY'", "quote"},
    {"`CANARY=1`", "quote"},
    {"postgres+asyncpg://u:CANARY@h/d", "scheme"},
    {"jdbc:postgresql://h/d?user=u&password=CANARY", "scheme"},
    {"POSTGRESQL://u:CANARY@h/d", "scheme"},
    {"mysql://u:CANARY@h/d?a=b", "scheme"},
    {"https://CANARY/d", "scheme"},
    {"CANARY", "name of a database"},
    {"postgresql:/u:CANARY@h/d", "name of a database"},
    {"u:CANARY@h/d", "name of a database"},
    {"h:5432/d?password=CANARY", "does not know"},
    {"postgresql://u:CANARY%@h/d", "(in its password)"},
    {"postgresql://u:AmJa%qCANARY@h/d", "a % that two hex digits"},
    {"postgresql://CANARY%zz:x@h/d", "(in its user name)"},
    {"postgresql://u:x@CANARY%4/d", "(in its host)"},
    {"postgresql://u:x@h/CANARY%1", "(in its database name)"},
    {"postgresql://u:x@h/d?password=CANARY%1", "(in its options)"},
    {"postgresql://u:CANARY%00x@h/d", "NUL"},
    {"postgresql://u:CANARY x@h/d", "space"},
    {"postgresql://u:x@h/d?options=-c CANARY", "(in its options)"},
    {"postgresql://u:CANARY/x@h:5432/d", "behind the first /"},
    {"postgresql://u:12/CANARY@h:5432/d", "behind the first /"},
    {"postgresql://u:x@CANARY@h:5432/d", "no host has"},
    {"postgresql://u:x@h:CANARY/d", "unusable port"},
    {"postgresql://u:x@h:0/d", "unusable port"},
    {"postgresql://u:x@h:65536/d", "unusable port"},
    {"postgresql://u:x@h:1,g:CANARY/d", "unusable port"},
    {"postgresql://u:x@[::CANARY/d", "["},
    {"postgresql://u:CANARY@[]/d", "empty IPv6"},
    {"postgresql://u:x@[::1]CANARY/d", "behind its host"},
    {"postgresql://u:x@h/d?CANARY", "without ="},
    {"postgresql://u:x@h/d?a=b=CANARY", "two ="},
    {"postgresql://u:x@h/d?CANARY=1", "does not know"},
    {"postgresql://u:x@h/d?schema=CANARY", "does not know"},
    {"postgresql://u:x@h/d?sslmode=CANARY", "unusable sslmode"},
    {"postgresql://u:x@h/d?connect_timeout=CANARY", "connect_timeout"},
    {"postgresql://u:x@h/d?target_session_attrs=CANARY", "target_session"},
    {"postgresql://u:x@h/d?hostaddr=CANARY", "hostaddr"},
    {"host=h password=a CANARY user=u", "without ="},
    {"host=h password='CANARY", "not closed"},
    {"host=h pasword=CANARY", "does not know"},
    {"host=CANARY@h dbname=d", "no host has"},
    {"host=CANARY!h dbname=d", "no host has"},
    {"host=a,b port=1,2,3 password=CANARY", "as hosts"},
    {"host=a,b hostaddr=127.0.0.1 password=CANARY", "as hosts"},
    {"dbname=postgresql://u:CANARY@h/d", "a URL for its dbname"},
    {"dbname='postgresql://u:CANARY@h/d'", "a URL for its dbname"},
};

TEST_CASE(pg_url_check__what_libpq_can_use__is_taken)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct err err = {0};
        /* libpq of Debian 12 does not know the option; that is said too. */
        if (!pg_url_check(good[i], &err) &&
            !(strstr(good[i], "load_balance") && strstr(err.text, "know"))) {
            fail_msg("%s: %s", good[i], err.text);
        }
    }
}

TEST_CASE(pg_url_check__at_fault__says_what_and_shows_nothing)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        if (pg_url_check(bad[i].url, &err)) {
            fail_msg("%s: taken", bad[i].url);
        }
        assert_int_equal(err.kind, ERR_PERMANENT);
        if (strstr(err.text, "CANARY") || !strstr(err.text, bad[i].says) ||
            !strstr(err.text, "allowed: ")) {
            fail_msg("%s: %s", bad[i].url, err.text);
        }
    }
}

/** Every string that is cut somewhere: never a piece of the password. */
TEST_CASE(pg_url_check__cut_and_mangled__shows_nothing)
{
    static const char *const whole[] = {
        "postgresql://app:CANARY@h.example:5432/d?sslmode=require",
        "host=h port=5432 user=u password='CANARY' dbname=d",
    };
    static const char marks[] = "%@/:?&='\" ,[]\\#\t\x80";
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(whole[i]);
        for (size_t at = 0; at <= len; at++) {
            for (const char *mark = marks; *mark; mark++) {
                char url[100];
                struct err err = {0};
                memcpy(url, whole[i], at);
                url[at] = *mark;
                strcpy(url + at + 1, whole[i] + at);
                if (!pg_url_check(url, &err)) {
                    assert_null(strstr(err.text, "CANARY"));
                    assert_null(strstr(err.text, "h.example"));
                }
                url[at] = '\0';
                if (!pg_url_check(url, &err)) {
                    assert_null(strstr(err.text, "CANA"));
                }
            }
        }
    }
}

TEST_CASE(database_url_judge__beside_others__is_a_line)
{
    struct buf faults;
    buf_init(&faults, 0);
    buf_add_text(&faults, "another\n");
    assert_true(database_url_judge("DATABASE_URL", "postgresql:///pixverse",
                                   true, &faults));
    assert_int_equal(faults.len, 8);
    assert_false(database_url_judge("DATABASE_URL", "CANARY", true, &faults));
    assert_non_null(
        strstr(faults.bytes, "\nDATABASE_URL: value (not shown) is neither"));
    assert_int_equal(faults.bytes[faults.len - 1], '\n');
    buf_done(&faults);
}

TEST_CASE(database_url_judge__who_writes__wants_no_standby)
{
    static const char *const none[] = {"standby", "read-only",
                                       "prefer-standby"};
    static const char *const some[] = {"any", "primary", "read-write"};
    for (size_t i = 0; i < 3; i++) {
        struct buf faults;
        char url[100];
        buf_init(&faults, 0);
        snprintf(url, sizeof url, "postgresql://h/d?target_session_attrs=%s",
                 none[i]);
        assert_true(database_url_judge("DATABASE_URL", url, false, &faults));
        assert_false(database_url_judge("DATABASE_URL", url, true, &faults));
        assert_non_null(strstr(faults.bytes, "takes no writes"));
        snprintf(url, sizeof url, "host=a,b target_session_attrs=%s", some[i]);
        assert_true(database_url_judge("DATABASE_URL", url, true, &faults));
        buf_done(&faults);
    }
}

TEST_CASE(database_hosts__all_forms__are_counted)
{
    assert_int_equal(database_hosts("postgresql:///d"), 1);
    assert_int_equal(database_hosts("postgresql://a:1,b:2/d"), 2);
    assert_int_equal(database_hosts("host=a,b,c dbname=d"), 3);
    assert_int_equal(database_hosts("hostaddr=127.0.0.1,::1 dbname=d"), 2);
}

/* ---- what a connection says ---- */

/** A server that refuses everybody in words of its own; one connection. */
static void *refuse(void *context)
{
    static const char words[] =
        "password \"CANARY\" of user \"app\" is no good, "
        "nor is \"xCANARYx\", says \"h.example\"";
    int listener = *(int *)context;
    int fd = accept(listener, NULL, NULL);
    char asked[1000];
    char reply[400];
    size_t len = 5;
    (void)!read(fd, asked, sizeof asked);
    len += (size_t)snprintf(reply + len, sizeof reply - len, "SFATAL") + 1;
    len += (size_t)snprintf(reply + len, sizeof reply - len, "C28P01") + 1;
    len += (size_t)snprintf(reply + len, sizeof reply - len, "M%s", words) + 1;
    reply[len++] = '\0';
    reply[0] = 'E';
    uint32_t size = htonl((uint32_t)len - 1);
    memcpy(reply + 1, &size, 4);
    (void)!write(fd, reply, len);
    close(fd);
    return NULL;
}

TEST_CASE(pg_dial__words_with_the_password__are_cut)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&at, &len);
    pthread_t thread;
    pthread_create(&thread, NULL, refuse, &listener);
    char url[200];
    snprintf(url, sizeof url,
             "postgresql://app:CANARY@127.0.0.1:%d/d?sslmode=disable&"
             "gssencmode=disable",
             ntohs(at.sin_port));
    struct err err = {0};
    struct schema_state seen;
    assert_false(schema_read(url, &seen, &err));
    pthread_join(thread, NULL);
    close(listener);
    assert_null(strstr(err.text, "CANARY"));
    assert_non_null(
        strstr(err.text, "password \"(not shown)\" of user \"app\""));
    assert_non_null(strstr(err.text, "\"h.example\""));
}

TESTS_RUN(NULL, NULL)
