#include "edge/pg.h"

#include "edge/pg_pooler.h"
#include "edge/pg_url.h"
#include "edge/sql_text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

bool pg_err(struct err *err, enum err_kind kind, const PGconn *conn)
{
    struct str text = str_trim(str_of(PQerrorMessage(conn)));
    if (!text.len) {
        return err_set(err, kind, "the connection to PostgreSQL was lost");
    }
    return err_set(err, kind, "%.*s", (int)text.len, text.at);
}

/* ---- connecting --------------------------------------------------------- */

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
    return (struct pg_address){
        .url = copy_text(address->url),
        .password = copy_text(address->password),
        .name = copy_text(address->name),
    };
}

void pg_address_free(struct pg_address *address)
{
    free_secret(address->url);
    free_secret(address->password);
    free_secret(address->name);
    *address = (struct pg_address){0};
}

#define SECRETS_MAX 3
#define NAMES_MAX 4

/** Values of the connection that may, and that may not, be shown. */
struct words {
    const char *secrets[SECRETS_MAX];
    const char *names[NAMES_MAX];
};

static bool holds(struct str text, const char *part)
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
        if (holds(value, words->secrets[i])) {
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
        const char *close = open && text.len ? memchr(text.at, '"', text.len)
                                             : NULL;
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

PGconn *pg_dial(const struct pg_address *address, struct err *err)
{
    if (!pg_url_check(address->url, err)) {
        err->kind = ERR_TRANSIENT;
        err_wrap(err, "the connection string");
        return NULL;
    }
    /* Of two values of one key the later one counts: the first ones give way
     * to the URL, the last ones do not. A null value is no value. */
    const char *const keys[] = {
        "connect_timeout",     "keepalives_idle",
        "keepalives_interval", "keepalives_count",
        "tcp_user_timeout",    "dbname",
        "application_name",    "password",
        "client_encoding",     NULL,
    };
    const char *const values[] = {
        "5",     "10",         "5",           "3",
        "30000", address->url, address->name, address->password,
        "UTF8",  NULL,
    };
    PGconn *conn = PQconnectdbParams(keys, values, 1);
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

PGconn *pg_connect(const struct pg_address *address, struct err *err)
{
    PGconn *conn = pg_dial(address, err);
    if (conn && !pg_pooler_check(conn, address, err)) {
        PQfinish(conn);
        conn = NULL;
    }
    return conn;
}

bool pg_encoding_fits(struct str encoding, struct err *err)
{
    if (str_eq(encoding, STR("UTF8"))) {
        return true;
    }
    return err_set(err, ERR_PERMANENT,
                   "the database's encoding is %.*s, which can't keep every "
                   "text; UTF8 is needed: make one with CREATE DATABASE ... "
                   "ENCODING 'UTF8' TEMPLATE template0",
                   (int)encoding.len, encoding.len ? encoding.at : "");
}

const char *pg_sql(const char *folder, const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s.sql", folder, name);
    for (const struct sql_text *at = sql_texts; at->name; at++) {
        if (strcmp(at->name, path) == 0) {
            return at->text;
        }
    }
    assert(!"a query that the build did not embed");
    return NULL;
}

/* ---- values ------------------------------------------------------------- */

struct str pg_str(const PGresult *result, int row, int column)
{
    if (column < 0 || PQgetisnull(result, row, column)) {
        return (struct str){0};
    }
    return (struct str){PQgetvalue(result, row, column),
                        (size_t)PQgetlength(result, row, column)};
}

int64_t pg_i64(const PGresult *result, int row, int column)
{
    return column < 0 ? 0 : strtoll(PQgetvalue(result, row, column), NULL, 10);
}

bool pg_bool(const PGresult *result, int row, int column)
{
    return column >= 0 && PQgetvalue(result, row, column)[0] == 't';
}

/* ---- array literals ----------------------------------------------------- */

void pg_array_begin(struct buf *buf)
{
    buf_add_char(buf, '{');
}

static void separate(struct buf *buf)
{
    if (buf->len && buf->bytes[buf->len - 1] != '{') {
        buf_add_char(buf, ',');
    }
}

void pg_array_i64(struct buf *buf, int64_t value)
{
    separate(buf);
    buf_add_i64(buf, value);
}

void pg_array_bool(struct buf *buf, bool value)
{
    separate(buf);
    buf_add_char(buf, value ? 't' : 'f');
}

void pg_array_double(struct buf *buf, double value)
{
    separate(buf);
    buf_add_double(buf, value);
}

void pg_array_str(struct buf *buf, struct str text)
{
    separate(buf);
    if (!text.at) {
        buf_add_text(buf, "NULL");
        return;
    }
    buf_add_char(buf, '"');
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"' || text.at[i] == '\\') {
            buf_add(buf, text.at + from, i - from);
            buf_add_char(buf, '\\');
            from = i;
        }
    }
    buf_add(buf, text.at + from, text.len - from);
    buf_add_char(buf, '"');
}

void pg_array_bytes(struct buf *buf, const unsigned char *bytes, size_t len)
{
    separate(buf);
    buf_add_text(buf, "\"\\\\x");
    char *room = buf_room(buf, 2 * len + 1);
    if (room) {
        str_hex(bytes, len, room);
        buf_took(buf, 2 * len);
    }
    buf_add_char(buf, '"');
}

void pg_array_end(struct buf *buf)
{
    buf_add_char(buf, '}');
}
