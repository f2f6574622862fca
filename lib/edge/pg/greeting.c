#include "edge/pg/greeting.h"

#include "edge/schema.h"

#include <assert.h>
#include <string.h>

#define POSTGRES_MIN 150000

/** Why this session is of no use, in words; null: nothing. */
static const char *session_fault(const PGresult *session)
{
    if (pg_bool(session, 0, PQfnumber(session, "read_only"))) {
        return "PostgreSQL is read-only here";
    }
    if (pg_i64(session, 0, PQfnumber(session, "server_version")) <
        POSTGRES_MIN) {
        return "PostgreSQL 15 or later is needed";
    }
    return NULL;
}

/** false with *err: the database has none. */
static bool read_salt(const PGresult *result, struct pg_salt *salt,
                      struct err *err)
{
    assert(salt);
    struct str hex = PQntuples(result) == 1
                         ? pg_str(result, 0, PQfnumber(result, "salt"))
                         : (struct str){0};
    salt->known =
        hex.len == 2 * sizeof salt->bytes && str_unhex(hex, salt->bytes);
    return salt->known ||
           err_set(err, ERR_PERMANENT,
                   "the database has no salt for idempotency keys: it was not "
                   "made by `pixverse-worker migrate`");
}

struct str pg_salt_str(const struct pg_salt *salt)
{
    return salt->known ? (struct str){salt->bytes, sizeof salt->bytes}
                       : (struct str){0};
}

static void ask(const struct pg_greeting *greeting, struct pg_unit *unit)
{
    greeting->on_question(greeting->context, unit);
}

/** false: it was answered with an error, which is the end. */
static bool was_answered(const struct pg_greeting *greeting,
                         const struct pg_unit *unit)
{
    if (unit->err.kind != ERR_NONE) {
        greeting->on_end(greeting->context, unit->err.text, false);
    }
    return unit->err.kind == ERR_NONE;
}

static void on_durable(void *context, struct pg_unit *unit)
{
    const struct pg_greeting *greeting = context;
    if (was_answered(greeting, unit)) {
        greeting->on_end(greeting->context, NULL, false);
    }
}

/** What was there before us is durable, too, when a commit behind it is. */
static void ask_durable(struct pg_greeting *greeting)
{
    struct pg_unit *next = pg_unit_new(on_durable, greeting);
    pg_unit_plain(next, pg_sql("query", "session_durable"));
    ask(greeting, next);
}

void pg_greet_lock(struct pg_unit *unit, int64_t lock)
{
    assert(lock > 0);
    pg_unit_plain(unit, pg_sql("query", "session_lock"));
    pg_unit_i64(unit, lock);
}

/** Our session before may still be at work: it is ended first. */
static void on_locked(void *context, struct pg_unit *unit)
{
    struct pg_greeting *greeting = context;
    if (!was_answered(greeting, unit)) {
        return;
    }
    if (pg_bool(unit->results[1], 0, 0)) {
        ask_durable(greeting);
    } else {
        greeting->on_end(greeting->context,
                         "PostgreSQL still works for our last connection (do "
                         "commits wait for a synchronous standby that is "
                         "away?)",
                         false);
    }
}

static void on_prepared(void *context, struct pg_unit *unit)
{
    struct pg_greeting *greeting = context;
    struct err err = {0};
    if (!was_answered(greeting, unit)) {
        return;
    }
    if (!read_salt(unit->results[unit->results_len - 1], &greeting->salt,
                   &err)) {
        greeting->on_end(greeting->context, err.text, true);
        return;
    }
    if (!greeting->lock) {
        ask_durable(greeting);
        return;
    }
    struct pg_unit *next = pg_unit_new(on_locked, greeting);
    pg_unit_plain(next, pg_sql("query", "session_end"));
    pg_unit_i64(next, greeting->lock);
    pg_greet_lock(next, greeting->lock);
    ask(greeting, next);
}

static void prepare(struct pg_greeting *greeting)
{
    struct pg_unit *unit = pg_unit_new(on_prepared, greeting);
    for (const char *const *at = greeting->queries; *at; at++) {
        pg_unit_prepare(unit, *at, pg_sql("query", *at));
    }
    pg_unit_plain(unit, pg_sql("query", "salt")); /* the last */
    ask(greeting, unit);
}

static void on_schema(void *context, struct pg_unit *unit)
{
    struct pg_greeting *greeting = context;
    struct schema_state state = {0};
    struct err err = {0};
    bool missing = strcmp(unit->sqlstate, "42P01") == 0;
    if (!missing && !was_answered(greeting, unit)) {
        return;
    }
    if (!missing && PQntuples(unit->results[0]) == 1) {
        state.number = (int)pg_i64(unit->results[0], 0, 0);
        state.program_min = (int)pg_i64(unit->results[0], 0, 1);
    }
    if (schema_fits(&state, &err)) {
        prepare(greeting);
    } else {
        greeting->on_end(greeting->context, err.text, true);
    }
}

static void on_session(void *context, struct pg_unit *unit)
{
    struct pg_greeting *greeting = context;
    struct err err = {0};
    if (!was_answered(greeting, unit)) {
        return;
    }
    const PGresult *result = unit->results[0];
    const char *fault = session_fault(result);
    if (fault) {
        greeting->on_end(greeting->context, fault, false);
        return;
    }
    if (!pg_encoding_fits(pg_str(result, 0, PQfnumber(result, "encoding")),
                          &err)) {
        greeting->on_end(greeting->context, err.text, true);
        return;
    }
    struct pg_unit *next = pg_unit_new(on_schema, greeting);
    pg_unit_plain(next, pg_sql("query", "schema"));
    ask(greeting, next);
}

void pg_greet(struct pg_greeting *greeting)
{
    assert(greeting->on_question && greeting->on_end && greeting->queries);
    struct pg_unit *unit = pg_unit_new(on_session, greeting);
    pg_unit_plain(unit, pg_sql("query", "session"));
    pg_unit_i64(unit, greeting->lease_ms / 2);
    pg_unit_i64(unit, greeting->statement_ms);
    ask(greeting, unit);
}
