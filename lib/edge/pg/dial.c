#include "edge/pg/pg.h"

#include "edge/pg/url.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/*
 * Connections to PostgreSQL. libpq's own limit is in whole seconds, two at
 * least, and for each address; a lane that must be back within a lease drives
 * the connection itself.
 */

#define PARAMS_MAX 16
#define HOSTS_MAX 32
#define PATIENCE_MAX_MS 5000
#define REACH_MIN_MS 50
#define ANSWER_MIN_MS 200

struct params {
    const char *keys[PARAMS_MAX];
    const char *values[PARAMS_MAX];
    size_t len;
};

/** One of the hosts that a connection string names: pieces of its lists. */
struct place {
    bool several; /* the string names others, too */
    char *host;   /* null: as the string says */
    char *hostaddr;
    char *port;
};

/** What a server has to be; of two hosts one is mostly the other's standby. */
static const char primary[] = "read-write";

/* ---- addresses ---- */

static char *copy_text(const char *text)
{
    return text ? strdup(text) : NULL;
}

static void free_secret(const char *text)
{
    if (text) {
        explicit_bzero((void *)(uintptr_t)text, strlen(text));
    }
    free((void *)(uintptr_t)text);
}

struct pg_address pg_address_copy(const struct pg_address *address)
{
    assert(address->url);
    return (struct pg_address){
        .url = copy_text(address->url),
        .password = copy_text(address->password),
        .name = copy_text(address->name),
        .patience = address->patience,
        .writes = address->writes,
    };
}

void pg_address_free(struct pg_address *address)
{
    free_secret(address->url);
    free_secret(address->password);
    free_secret(address->name);
    *address = (struct pg_address){0};
}

/* ---- what is said ---- */

#define SECRETS_MAX 3
#define NAMES_MAX 4

/** Values of the connection that may, and that may not, be shown. */
struct words {
    const char *secrets[SECRETS_MAX];
    const char *names[NAMES_MAX];
};

static bool contains(struct str text, const char *part)
{
    return part && *part && str_find_nocase(text, str_of(part)) >= 0;
}

/** A quoted value that holds a secret and is no name of a connection. */
static bool is_secret(const struct words *words, struct str value)
{
    for (size_t i = 0; i < NAMES_MAX; i++) {
        if (words->names[i] && str_eq(value, str_of(words->names[i]))) {
            return false;
        }
    }
    for (size_t i = 0; i < SECRETS_MAX; i++) {
        if (contains(value, words->secrets[i])) {
            return true;
        }
    }
    return false;
}

/** libpq and the server quote what they speak of: values that are secret go. */
static void hide_secrets(struct buf *out, struct str text,
                         const struct words *words)
{
    while (text.len) {
        const char *open = memchr(text.at, '"', text.len);
        size_t before = open ? (size_t)(open - text.at) + 1 : text.len;
        buf_add(out, text.at, before);
        text = (struct str){text.at + before, text.len - before};
        const char *close =
            open && text.len ? memchr(text.at, '"', text.len) : NULL;
        if (!close) {
            continue;
        }
        struct str value = {text.at, (size_t)(close - text.at)};
        if (is_secret(words, value)) {
            buf_add_text(out, "(not shown)");
        } else {
            buf_add_str(out, value);
        }
        buf_add_char(out, '"');
        text = (struct str){close + 1, text.len - value.len - 1};
    }
}

static void connect_err(struct err *err, const PGconn *conn)
{
    struct words words = {
        .secrets = {PQpass(conn)},
        .names = {PQhost(conn), PQport(conn), PQuser(conn), PQdb(conn)},
    };
    size_t len = 1;
    PQconninfoOption *options = PQconninfo((PGconn *)(uintptr_t)conn);
    for (PQconninfoOption *at = options; at && at->keyword; at++) {
        if (at->val && at->dispchar[0] == '*' && len < SECRETS_MAX) {
            words.secrets[len++] = at->val;
        }
    }
    struct str text = str_trim(str_of(PQerrorMessage(conn)));
    struct buf shown;
    buf_init(&shown, 0);
    hide_secrets(&shown, text, &words);
    struct str out = buf_str(&shown);
    err_set(err, ERR_TRANSIENT, "%.*s", (int)out.len, out.len ? out.at : "");
    if (shown.failed || !out.len) {
        err_set(err, ERR_TRANSIENT, "PostgreSQL can't be reached");
    }
    buf_done(&shown);
    for (PQconninfoOption *at = options; at && at->keyword; at++) {
        if (at->val && at->dispchar[0] == '*') {
            explicit_bzero(at->val, strlen(at->val));
        }
    }
    PQconninfoFree(options);
}

/* ---- parameters ---- */

static void add(struct params *params, const char *key, const char *value)
{
    assert(params->len < PARAMS_MAX - 1);
    params->keys[params->len] = key;
    params->values[params->len++] = value;
}

/** Of two values of one key the later one counts: the first ones give way to
 * the URL, the last ones do not. A null value is no value. */
static struct params params_of(const struct pg_address *address,
                               const struct place *place)
{
    assert(address->url && place);
    struct params params = {0};
    add(&params, "connect_timeout", "5");
    add(&params, "keepalives_idle", "10");
    add(&params, "keepalives_interval", "5");
    add(&params, "keepalives_count", "3");
    add(&params, "tcp_user_timeout", "30000");
    add(&params, "target_session_attrs", place->several ? primary : NULL);
    add(&params, "dbname", address->url);
    add(&params, "target_session_attrs", address->writes ? primary : NULL);
    add(&params, "host", place->host);
    add(&params, "hostaddr", place->hostaddr);
    add(&params, "port", place->port);
    add(&params, "application_name", address->name);
    add(&params, "password", address->password);
    add(&params, "client_encoding", "UTF8");
    return params;
}

static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

/** Null with *err and the connection gone, if there is none. */
static PGconn *check(PGconn *conn, struct err *err)
{
    if (!conn) {
        err_set(err, ERR_TRANSIENT, "no memory for a connection");
        return NULL;
    }
    if (PQstatus(conn) != CONNECTION_OK) {
        connect_err(err, conn);
        PQfinish(conn);
        return NULL;
    }
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    return conn;
}

/* ---- within milliseconds ---- */

static int64_t within(int64_t least, int64_t value, int64_t most)
{
    assert(least <= most);
    return value < least ? least : value > most ? most : value;
}

/** A lane is back long before the lease is over, whatever its host does. */
struct pg_patience pg_patience_of(int64_t lease_ms)
{
    assert(lease_ms > 0);
    return (struct pg_patience){
        .reach_ms = within(REACH_MIN_MS, lease_ms / 4, PATIENCE_MAX_MS),
        .answer_ms = within(ANSWER_MIN_MS, lease_ms / 2, PATIENCE_MAX_MS),
    };
}

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/** false: nothing came until then. */
static bool wait_for_socket(int fd, bool reading, int64_t until_ms)
{
    struct pollfd at = {.fd = fd, .events = reading ? POLLIN : POLLOUT};
    for (;;) {
        int64_t left_ms = until_ms - clock_ms();
        int n = poll(&at, 1, left_ms > 0 ? (int)left_ms : 0);
        if (n > 0 || (n < 0 && errno != EINTR)) {
            return true; /* an error is libpq's to tell */
        }
        if (n == 0 && left_ms <= 0) {
            return false;
        }
    }
}

/** An address that does not take the connection in time is given up like one
 * that refuses: libpq goes on to the next one. A host that took it and says
 * nothing is given up as a whole. */
static PGconn *drive(PGconn *conn, const struct pg_patience *patience,
                     struct err *err)
{
    assert(patience->reach_ms > 0 && patience->answer_ms > 0);
    int socket = -1;
    ConnStatusType status = CONNECTION_BAD;
    int64_t until_ms = 0;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (conn && PQstatus(conn) != CONNECTION_BAD) {
        const bool reaching = PQstatus(conn) == CONNECTION_STARTED;
        if (PQsocket(conn) != socket || PQstatus(conn) != status) {
            socket = PQsocket(conn);
            status = PQstatus(conn);
            until_ms = clock_ms() +
                       (reaching ? patience->reach_ms : patience->answer_ms);
        }
        if (!wait_for_socket(socket, next == PGRES_POLLING_READING, until_ms)) {
            if (!reaching) {
                PQfinish(conn);
                err_set(err, ERR_TRANSIENT,
                        "PostgreSQL took the connection and did not answer "
                        "within %lld ms",
                        (long long)patience->answer_ms);
                return NULL;
            }
            shutdown(socket, SHUT_RDWR);
        }
        next = PQconnectPoll(conn);
        if (reaching) {
            socket = -1; /* the next address mostly has the same number */
        }
        if (next == PGRES_POLLING_OK || next == PGRES_POLLING_FAILED) {
            break;
        }
    }
    return check(conn, err);
}

static const char *option(const PQconninfoOption *options, const char *key)
{
    for (; options && options->keyword; options++) {
        if (strcmp(options->keyword, key) == 0) {
            return options->val;
        }
    }
    return NULL;
}

static size_t pieces(const char *list)
{
    size_t n = 1;
    for (; list && *list; list++) {
        n += *list == ',';
    }
    return n;
}

/** The n-th piece of a list, or its only one; null: no list, or no memory. */
static char *piece(const char *list, size_t n)
{
    assert(n < HOSTS_MAX);
    if (!list) {
        return NULL;
    }
    for (size_t i = pieces(list) > 1 ? n : 0; i > 0; i--) {
        list += strcspn(list, ",");
        list += *list == ',';
    }
    return strndup(list, strcspn(list, ","));
}

/** How many hosts a string names. */
static size_t hosts_of(const PQconninfoOption *options)
{
    const char *list = option(options, "hostaddr");
    return pieces(list ? list : option(options, "host"));
}

/** Whether libpq has to see them together. */
static bool are_together(const PQconninfoOption *options,
                         const struct pg_address *address)
{
    const char *order = option(options, "load_balance_hosts");
    const char *wanted = option(options, "target_session_attrs");
    return (order && strcmp(order, "disable") != 0) ||
           (!address->writes && wanted &&
            strcmp(wanted, "prefer-standby") == 0) ||
           hosts_of(options) > HOSTS_MAX;
}

static PGconn *dial_place(const struct pg_address *address,
                          const PQconninfoOption *options, size_t i,
                          struct err *err)
{
    struct place place = {
        .several = true,
        .host = piece(option(options, "host"), i),
        .hostaddr = piece(option(options, "hostaddr"), i),
        .port = piece(option(options, "port"), i),
    };
    const struct params params = params_of(address, &place);
    PGconn *conn = drive(PQconnectStartParams(params.keys, params.values, 1),
                         &address->patience, err);
    free(place.host);
    free(place.hostaddr);
    free(place.port);
    return conn;
}

/** One host after the other; *err has what each said. */
static PGconn *dial_each(const struct pg_address *address,
                         const PQconninfoOption *options, struct err *err)
{
    const size_t n = hosts_of(options);
    const size_t first = address->turn ? *address->turn % n : 0;
    PGconn *conn = NULL;
    struct buf said;
    buf_init(&said, 0);
    for (size_t i = 0; i < n && !conn; i++) {
        const size_t at = (first + i) % n;
        struct err one = {0};
        conn = dial_place(address, options, at, &one);
        if (conn && address->turn) {
            *address->turn = at;
        } else if (!conn) {
            buf_printf(&said, "%s%s", i ? "; " : "", one.text);
        }
    }
    if (!conn) {
        err_set(err, ERR_TRANSIENT, "%s", said.failed ? "" : said.bytes);
    }
    buf_done(&said);
    return conn;
}

static PGconn *dial_in_time(const struct pg_address *address,
                            const PQconninfoOption *options, struct err *err)
{
    /* What it can't read has one place: libpq says what is wrong with it. */
    const size_t n = hosts_of(options);
    if (n > 1 && !are_together(options, address)) {
        return dial_each(address, options, err);
    }
    const struct place place = {.several = n > 1};
    const struct params params = params_of(address, &place);
    return drive(PQconnectStartParams(params.keys, params.values, 1),
                 &address->patience, err);
}

PGconn *pg_dial(const struct pg_address *address, struct err *err)
{
    assert(address->url);
    if (!pg_url_check(address->url, err)) {
        err->kind = ERR_TRANSIENT;
        err_wrap(err, "the connection string");
        return NULL;
    }
    PQconninfoOption *options = PQconninfoParse(address->url, NULL);
    PGconn *conn = NULL;
    if (address->patience.reach_ms) {
        conn = dial_in_time(address, options, err);
    } else {
        const struct place place = {.several = hosts_of(options) > 1};
        const struct params params = params_of(address, &place);
        conn = check(PQconnectdbParams(params.keys, params.values, 1), err);
    }
    PQconninfoFree(options);
    return conn;
}
