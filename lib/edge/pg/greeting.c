#include "edge/pg/greeting.h"

#include <assert.h>

#define POSTGRES_MIN 150000

const char *pg_session_fault(const PGresult *session)
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

bool pg_salt_read(const PGresult *result, struct pg_salt *salt, struct err *err)
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
